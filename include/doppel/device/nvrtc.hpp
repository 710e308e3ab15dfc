// SPDX-License-Identifier: Apache-2.0
// NVIDIA's run-time compiler, found when the program runs: no CUDA toolkit and no header is needed.
#pragma once

#include <doppel/core/error.hpp>

#include <dlfcn.h>
#ifdef __linux__
#include <link.h>
#endif

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

namespace doppel::device {

namespace detail {

/// Folders of the LibTorch libraries that this process has loaded.
inline std::vector<std::filesystem::path> torch_folders() {
    std::vector<std::filesystem::path> folders;
#ifdef __linux__
    const auto look = [](dl_phdr_info* library, std::size_t, void* found) {
        const std::filesystem::path path(library->dlpi_name);
        auto& all = *static_cast<std::vector<std::filesystem::path>*>(found);
        if (path.filename().string().starts_with("libc10.so") || path.filename().string().starts_with("libtorch_cpu.so"))
            all.push_back(path.parent_path());
        return 0;
    };
    ::dl_iterate_phdr(look, &folders);
#endif
    return folders;
}

/// Library files of NVRTC beside LibTorch: in its own folder (archives) or in those of pip's packages; then the names that
/// the dynamic loader may know.
inline std::vector<std::string> nvrtc_files(const std::vector<std::filesystem::path>& torch) {
    namespace fs = std::filesystem;
    std::error_code ignored;
    std::vector<fs::path> folders;
    for (const auto& own : torch) {
        folders.push_back(own);
        for (fs::directory_iterator at(own / "../../nvidia", ignored), end; !ignored && at != end; at.increment(ignored))
            folders.push_back(at->path() / "lib");
    }
    std::vector<std::string> files;
    for (const auto& folder : folders)
        for (fs::directory_iterator at(folder, ignored), end; !ignored && at != end; at.increment(ignored)) {
            const auto name = at->path().filename().string();
            const bool is = name.starts_with("libnvrtc") && name.find(".so") != std::string::npos &&
                            name.find("builtins") == std::string::npos && name.find(".alt") == std::string::npos;
            if (is) files.push_back(at->path().string());
        }
    for (const char* name : {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"}) files.emplace_back(name);
    return files;
}

}  // namespace detail

/// NVRTC, loaded from the first of `files` that is one. Compiling needs no GPU.
/// Throws Error if there is none, with the package that has it.
///
///     const device::Nvrtc nvrtc;
///     const std::string code = nvrtc.compile(source, nvrtc.architecture(90));
class Nvrtc {
public:
    Nvrtc() : Nvrtc(detail::nvrtc_files(detail::torch_folders())) {}
    explicit Nvrtc(const std::vector<std::string>& files) {
        for (const auto& file : files)
            if (open(file)) return;
        fail("Nvrtc: libnvrtc is neither beside LibTorch nor known to the loader (", files.size(),
             " names tried); install it by `pip install nvidia-cuda-nvrtc` (CUDA 12: nvidia-cuda-nvrtc-cu12)");
    }

    /// "13.0".
    std::string version() const { return std::to_string(major_) + '.' + std::to_string(minor_); }
    const std::string& path() const { return path_; }

    /// Options of every compilation: sums of products are rounded twice unless the source says fmaf, as on the CPU.
    static std::vector<std::string> options() { return {"--std=c++17", "--fmad=false"}; }

    /// Returns the target for a device of this compute capability (90 for 9.0): its machine code, "sm_90", or, if the
    /// device is newer than NVRTC, intermediate code for the newest one below it, "compute_120", which the driver compiles.
    std::string architecture(int capability) const {
        int count = 0;
        check(count_(&count));
        std::vector<int> all(static_cast<std::size_t>(count));
        check(architectures_(all.data()));
        if (std::find(all.begin(), all.end(), capability) != all.end()) return "sm_" + std::to_string(capability);
        std::erase_if(all, [&](int one) { return one > capability; });
        require(!all.empty(), "Nvrtc: version ", version(), " compiles for no device of compute capability ", capability / 10, '.',
                capability % 10, "; an older version may");
        return "compute_" + std::to_string(*std::max_element(all.begin(), all.end()));
    }

    /// Compiles `source` for a target. Throws Error with the compiler's message.
    std::string compile(const std::string& source, const std::string& architecture) const {
        void* program = nullptr;
        check(create_(&program, source.c_str(), "doppel.cu", 0, nullptr, nullptr));
        struct Owner {
            const Nvrtc& nvrtc;
            void* program;
            ~Owner() { nvrtc.destroy_(&program); }
        } owner{*this, program};
        auto words = options();
        words.push_back("--gpu-architecture=" + architecture);
        std::vector<const char*> pointers;
        for (const auto& word : words) pointers.push_back(word.c_str());
        if (compile_(program, static_cast<int>(pointers.size()), pointers.data()) != 0) {
            const auto log = text(program, log_size_, log_);
            fail("Nvrtc: a kernel does not compile for ", architecture, ": ", log.substr(0, 2000));
        }
        return architecture.starts_with("sm_") ? text(program, cubin_size_, cubin_) : text(program, ptx_size_, ptx_);
    }

private:
    using Size = int (*)(void*, std::size_t*);
    using Get = int (*)(void*, char*);

    std::string text(void* program, Size size_of, Get get) const {
        std::size_t size = 0;
        check(size_of(program, &size));
        std::string bytes(size, '\0');
        check(get(program, bytes.data()));
        return bytes;
    }

    bool open(const std::string& file) {
        void* const library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);  // stays: what it compiled is in use
        if (!library) return false;
        const auto get = [&](auto& function, const char* symbol) {
            function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(::dlsym(library, symbol));
            return function != nullptr;
        };
        int (*get_version)(int*, int*) = nullptr;
        const bool whole = get(get_version, "nvrtcVersion") && get(create_, "nvrtcCreateProgram") && get(compile_, "nvrtcCompileProgram") &&
                           get(destroy_, "nvrtcDestroyProgram") && get(text_, "nvrtcGetErrorString") &&
                           get(log_size_, "nvrtcGetProgramLogSize") && get(log_, "nvrtcGetProgramLog") &&
                           get(cubin_size_, "nvrtcGetCUBINSize") && get(cubin_, "nvrtcGetCUBIN") &&
                           get(ptx_size_, "nvrtcGetPTXSize") && get(ptx_, "nvrtcGetPTX") &&
                           get(count_, "nvrtcGetNumSupportedArchs") && get(architectures_, "nvrtcGetSupportedArchs");
        if (!whole || get_version(&major_, &minor_) != 0) return false;
        path_ = file;
        return true;
    }

    void check(int status) const {
        if (status != 0) fail("Nvrtc: ", text_(status), " (", path_, ")");
    }

    int major_ = 0, minor_ = 0;
    std::string path_;
    int (*create_)(void**, const char*, const char*, int, const char* const*, const char* const*) = nullptr;
    int (*compile_)(void*, int, const char* const*) = nullptr;
    int (*destroy_)(void**) = nullptr;
    const char* (*text_)(int) = nullptr;
    Size log_size_ = nullptr, cubin_size_ = nullptr, ptx_size_ = nullptr;
    Get log_ = nullptr, cubin_ = nullptr, ptx_ = nullptr;
    int (*count_)(int*) = nullptr;
    int (*architectures_)(int*) = nullptr;
};

}  // namespace doppel::device
