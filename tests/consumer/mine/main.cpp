// SPDX-License-Identifier: Apache-2.0
// A program that uses doppel: some headers, with and without torch, or all of them (WHOLE).
#ifdef WHOLE
#include <doppel/doppel.hpp>
#else
#include <doppel/core/version.hpp>
#include <doppel/data/embedded.hpp>
#include <doppel/image/decode.hpp>
#include <doppel/losses/nt_xent.hpp>
#endif

#include <ATen/ops/ones.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <string>

// other.cpp
double loss_of_equals(const at::Tensor& z);
doppel::Image picture();
std::string complaint(const char* start, std::size_t size);
double spread();

int main() {
    const auto z = at::ones({4, 8});
    const double here = doppel::losses::NtXent{}(z, z).item<double>();
    if (here != loss_of_equals(z) || std::abs(here - std::log(7.0)) > 1e-6) return 1;
    if (picture().pixels != doppel::data::Embedded({.count = 8}).image(7).pixels) return 2;
    if (!(spread() > 0)) return 3;
    // Crashes when LibTorch's std::filesystem is linked before libstdc++'s.
    std::filesystem::create_directories("mine-folder/a/b");
    if (std::filesystem::remove_all("mine-folder") != 3) return 4;
    // The formats that this build reads: of the others it says so.
    std::string formats;
    const auto reads = [](const std::string& start) {
        return complaint(start.data(), start.size()).find("this build has no") == std::string::npos;
    };
    if (reads("\xFF\xD8\xFF")) formats += " JPEG";
    if (reads("\x89PNG\r\n\x1A\n")) formats += " PNG";
    if (reads("RIFF0000WEBP")) formats += " WEBP";
    if (reads("GIF89a")) formats += " GIF";
    if (reads({"II*\0", 4})) formats += " TIFF";
    std::printf("mine: doppel %s, formats%s\n", doppel::version, formats.c_str());
}
