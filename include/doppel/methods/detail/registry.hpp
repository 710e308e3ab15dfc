// SPDX-License-Identifier: Apache-2.0
// The table of all shipped methods: part of doppel::compiled.
#pragma once

#include <doppel/core/compiled.hpp>
#include <doppel/methods/barlow_twins.hpp>
#include <doppel/methods/byol.hpp>
#include <doppel/methods/dcl.hpp>
#include <doppel/methods/dclw.hpp>
#include <doppel/methods/dino.hpp>
#include <doppel/methods/directclr.hpp>
#include <doppel/methods/entry.hpp>
#include <doppel/methods/ibot.hpp>
#include <doppel/methods/inst_disc.hpp>
#include <doppel/methods/lejepa.hpp>
#include <doppel/methods/mmcr.hpp>
#include <doppel/methods/mmcr_momentum.hpp>
#include <doppel/methods/moco_v1.hpp>
#include <doppel/methods/moco_v2.hpp>
#include <doppel/methods/moco_v3.hpp>
#include <doppel/methods/nnclr.hpp>
#include <doppel/methods/ressl.hpp>
#include <doppel/methods/registry.hpp>
#include <doppel/methods/simclr.hpp>
#include <doppel/methods/simclr_v2.hpp>
#include <doppel/methods/simsiam.hpp>
#include <doppel/methods/supcon.hpp>
#include <doppel/methods/swav.hpp>
#include <doppel/methods/tico.hpp>
#include <doppel/methods/vicreg.hpp>
#include <doppel/methods/wmse.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace doppel::methods {

/// Contrastive methods, those with a momentum encoder or a predictor, clusters and self-distillation, redundancy reduction
/// and other statistics.
DOPPEL_BODY const std::vector<MethodEntry>& all() {
    static const std::vector<MethodEntry> table{
        method_entry({"simclr", "SimCLR", "Two views of an image must find each other among all views of the batch.", "arXiv:2002.05709"},
              SimclrOptions{}, simclr_small, [](auto e, const auto& o) { return simclr(e, o); }),
        method_entry({"simclr_v2", "SimCLR v2", "SimCLR with a projector of three layers.", "arXiv:2006.10029"}, SimclrV2Options{},
              simclr_v2_small, [](auto e, const auto& o) { return simclr_v2(e, o); }),
        method_entry({"dcl", "DCL", "SimCLR without the positive in the denominator of its loss.", "arXiv:2110.06848"}, DclOptions{},
              dcl_small, [](auto e, const auto& o) { return dcl(e, o); }),
        method_entry({"dclw", "DCLW", "DCL with more weight on images whose views are still far apart.", "arXiv:2110.06848"},
              DclwOptions{}, dclw_small, [](auto e, const auto& o) { return dclw(e, o); }),
        method_entry({"nnclr", "NNCLR", "The nearest neighbor among past images is the positive.", "arXiv:2104.14548"}, NnclrOptions{},
              nnclr_small, [](auto e, const auto& o) { return nnclr(e, o); }),
        method_entry({"supcon", "SupCon", "SimCLR with labels: all images of a class are positives.", "arXiv:2004.11362"},
              SupconOptions{}, supcon_small, [](auto e, const auto& o) { return supcon(e, o); }),
        method_entry({"directclr", "DirectCLR", "SimCLR on a part of the features, without a projector.", "arXiv:2110.09348"},
              DirectclrOptions{}, directclr_small, [](auto e, const auto& o) { return directclr(e, o); }),
        method_entry({"ressl", "ReSSL", "Two views must relate to other images alike.", "arXiv:2107.09282"}, ResslOptions{}, ressl_small,
              [](auto e, const auto& o) { return ressl(e, o); }),
        MethodEntry{{"inst_disc", "InstDisc", "Each image is a class of its own, distinguished by a memory bank.", "arXiv:1805.01978"},
                    [](Scale scale, bool) { return scale == Scale::small ? inst_disc_small : InstDiscOptions{}; },
                    [](auto e, const InstDiscOptions& o, const DataInfo& data) { return inst_disc(e, data.images, o); }},
        method_entry({"moco_v1", "MoCo v1", "A query must find its key among a queue of keys from a momentum encoder.", "arXiv:1911.05722"},
              MocoV1Options{}, moco_v1_small, [](auto e, const auto& o) { return moco_v1(e, o); }),
        method_entry({"moco_v2", "MoCo v2", "MoCo with an MLP projector and stronger augmentation.", "arXiv:2003.04297"}, MocoV2Options{},
              moco_v2_small, [](auto e, const auto& o) { return moco_v2(e, o); }),
        method_entry({"moco_v3", "MoCo v3", "A prediction must find its key among the keys of the batch; ResNet or ViT.",
               "arXiv:2104.02057"},
              MocoV3Options{}, moco_v3_small, moco_v3_vit, moco_v3_vit_small, [](auto e, const auto& o) { return moco_v3(e, o); }),
        method_entry({"byol", "BYOL", "Predict what a momentum encoder sees in another view; no negatives.", "arXiv:2006.07733"},
              ByolOptions{}, byol_small, [](auto e, const auto& o) { return byol(e, o); }),
        method_entry({"simsiam", "SimSiam", "Predict another view's embedding; only a stop-gradient prevents collapse.",
               "arXiv:2011.10566"},
              SimsiamOptions{}, simsiam_small, [](auto e, const auto& o) { return simsiam(e, o); }),
        method_entry({"swav", "SwAV", "Views of an image are assigned to the same prototypes.", "arXiv:2006.09882"}, SwavOptions{},
              swav_small, [](auto e, const auto& o) { return swav(e, o); }),
        method_entry({"dino", "DINO", "Self-distillation: every view predicts the target's output for the global views; ViT or ResNet.",
               "arXiv:2104.14294", "vit_ti8d4"},
              dino_resnet, dino_small, DinoOptions{}, dino_vit_small, [](auto e, const auto& o) { return dino(e, o); }),
        method_entry({"ibot", "iBOT", "DINO that must also predict masked patches; ViT.", "arXiv:2111.07832", "vit_ti8d2"}, IbotOptions{},
              ibot_small, [](auto e, const auto& o) { return ibot(e, o); }),
        method_entry({"barlow_twins", "Barlow Twins", "Two views' embeddings correlate dimension by dimension.", "arXiv:2103.03230"},
              BarlowTwinsOptions{}, barlow_twins_small, [](auto e, const auto& o) { return barlow_twins(e, o); }),
        method_entry({"vicreg", "VICReg", "Views agree, dimensions vary and do not vary together.", "arXiv:2105.04906"}, VicregOptions{},
              vicreg_small, [](auto e, const auto& o) { return vicreg(e, o); }),
        method_entry({"mmcr", "MMCR", "The centroids of an image's views fill as many directions as they can.", "arXiv:2303.03307"},
              MmcrOptions{}, mmcr_small, [](auto e, const auto& o) { return mmcr(e, o); }),
        method_entry({"mmcr_momentum", "MMCR-Momentum", "MMCR whose centroids are the mean of two branches.", "arXiv:2303.03307"},
              MmcrMomentumOptions{}, mmcr_momentum_small, [](auto e, const auto& o) { return mmcr_momentum(e, o); }),
        method_entry({"tico", "TiCo", "Views agree, and keep away from the directions of past embeddings.", "arXiv:2206.10698"},
              TicoOptions{}, tico_small, [](auto e, const auto& o) { return tico(e, o); }),
        method_entry({"wmse", "W-MSE", "Whitened embeddings of two views agree.", "arXiv:2007.06346"}, WmseOptions{}, wmse_small,
              [](auto e, const auto& o) { return wmse(e, o); }),
        method_entry({"lejepa", "LeJEPA", "Views agree, and embeddings look like a standard normal.", "arXiv:2511.08544"},
              LejepaOptions{}, lejepa_small, lejepa_vit, lejepa_small, [](auto e, const auto& o) { return lejepa(e, o); })};
    return table;
}

}  // namespace doppel::methods
