// SPDX-License-Identifier: Apache-2.0
// The program's second file: the same headers, and in the whole of it evaluation and the command line as well.
#ifdef WHOLE
#include <doppel/cli.hpp>
#include <doppel/doppel.hpp>
#include <doppel/eval.hpp>
#include <doppel/methods/simclr.hpp>
#else
#include <doppel/core/version.hpp>
#include <doppel/data/embedded.hpp>
#include <doppel/image/decode.hpp>
#include <doppel/losses/nt_xent.hpp>
#endif

#include <string>

double loss_of_equals(const at::Tensor& z) { return doppel::losses::NtXent{}(z, z).item<double>(); }

doppel::Image picture() { return doppel::data::Embedded({.count = 8}).image(7); }

std::string complaint(const char* start, std::size_t size) {
    try {
        doppel::image::decode({reinterpret_cast<const std::uint8_t*>(start), size}, "bytes");
    } catch (const doppel::Error& error) {
        return error.what();
    }
    return {};
}

/// The spread of an encoder's features after a step of training.
double spread() {
#ifdef WHOLE
    using namespace doppel;
    const auto preset = methods::simclr(encoders::ResNet{.depth = 18, .stem = Stem::cifar, .width = 0.125},
                                        {.train = {.epochs = 1, .batch_size = 8}, .crops = {.size = 32}});
    const data::Dataset images(data::Embedded({.count = 8}));
    const auto result = train::train(preset, images, {.device = "cpu", .progress = train::ProgressMode::off});
    return eval::feature_std(eval::features(result.method, images, preset.views.eval).rows).item<double>();
#else
    return 1;
#endif
}
