// SPDX-License-Identifier: Apache-2.0
// SimCLR with a slot or two changed, and TiCo, W-MSE, LeJEPA and iBOT: the first argument says which, the others are as
// for 01_simclr.
//
// Shown here: presets made of another preset by with_loss, with_predictor, with_queue … (recipe/recipe.hpp and
// methods/contrastive_variants.hpp), three that stand beside them (methods/statistics_variants.hpp), and DINO with a sum of
// losses (methods/ibot.hpp). Try
//
//     14_variants dcl                       the embedded images
//     14_variants nnclr --epochs 20        any option of 01_simclr, and the variant's own
//     14_variants ressl --help
#include <doppel/cli.hpp>
#include <doppel/methods/contrastive_variants.hpp>
#include <doppel/methods/ibot.hpp>
#include <doppel/methods/statistics_variants.hpp>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace doppel;

struct Variant {
    std::string name;
    std::function<int(int, char**)> run;
};

/// A variant by its options for large and for small images and its preset.
template <class Options, class Make>
Variant variant(const cli::About& about, const Options& large, const Options& small, Make make) {
    return {about.name, [=](int argc, char** argv) {
                return cli::run(argc, argv, about, [=](int size) { return size < 64 ? small : large; }, make);
            }};
}

/// All variants, an entry each.
std::vector<Variant> variants() {
    using namespace methods;
    return {
        variant({"dcl", "DCL", "SimCLR without the positive in the denominator of its loss."},
                SimclrOptions{}, dcl_small(), [](auto encoder, const auto& o) { return dcl(encoder, o); }),
        variant({"dclw", "DCLW", "DCL with more weight on images whose views are still far apart."},
                DclwOptions{}, dclw_small(), [](auto encoder, const auto& o) { return dclw(encoder, o); }),
        variant({"nnclr", "NNCLR", "the nearest neighbor among past images is the positive."},
                nnclr_options(), nnclr_small(), [](auto encoder, const auto& o) { return nnclr(encoder, o); }),
        variant({"ressl", "ReSSL", "two views must be alike in how they relate to other images."},
                ressl_options(), ressl_small(), [](auto encoder, const auto& o) { return ressl(encoder, o); }),
        variant({"supcon", "SupCon", "SimCLR with labels: all images of a class are positives."},
                SimclrOptions{}, supcon_small(), [](auto encoder, const auto& o) { return supcon(encoder, o); }),
        variant({"simclr_v2", "SimCLR v2", "SimCLR with a projector of three layers."},
                SimclrOptions{}, simclr_v2_small(),
                [](auto encoder, const auto& o) { return simclr_v2(encoder, o); }),
        variant({"directclr", "DirectCLR", "SimCLR on a part of the features, without a projector."},
                DirectclrOptions{}, directclr_small(),
                [](auto encoder, const auto& o) { return directclr(encoder, o); }),
        variant({"tico", "TiCo", "views agree, and keep away from the directions of past embeddings."},
                TicoOptions{}, tico_small(), [](auto encoder, const auto& o) { return tico(encoder, o); }),
        variant({"wmse", "W-MSE", "whitened embeddings of two views agree."},
                WmseOptions{}, wmse_small(), [](auto encoder, const auto& o) { return wmse(encoder, o); }),
        variant({"lejepa", "LeJEPA", "views agree, and embeddings look like a standard normal."},
                LejepaOptions{}, lejepa_small(), [](auto encoder, const auto& o) { return lejepa(encoder, o); }),
        variant({"ibot", "iBOT", "DINO that must also say what stands in hidden patches.", "vit_ti8d2"},
                ibot_options(), ibot_small(), [](auto encoder, const auto& o) { return ibot(encoder, o); }),
    };
}

}  // namespace

int main(int argc, char** argv) {
    const auto all = variants();
    const std::string name = argc > 1 ? argv[1] : "";
    const auto chosen = std::find_if(all.begin(), all.end(), [&](const Variant& one) { return one.name == name; });
    if (chosen == all.end()) {
        std::string names;
        for (const auto& one : all) names += (names.empty() ? "" : ", ") + one.name;
        const bool asked = name == "--help" || name == "-h";
        const std::string got = asked || name.empty() ? "" : ", got '" + name + "'";
        std::fprintf(asked ? stdout : stderr,
                     "14_variants: the first argument names the variant: %s%s (NAME --help lists its options)\n",
                     names.c_str(), got.c_str());
        return asked ? 0 : 2;
    }
    std::string program = std::string(argv[0]) + ' ' + name;  // what --help calls it
    std::vector<char*> arguments{program.data()};
    arguments.insert(arguments.end(), argv + 2, argv + argc);
    return chosen->run(static_cast<int>(arguments.size()), arguments.data());
}
