// SPDX-License-Identifier: Apache-2.0
// What every pipeline of views is asked for: size, smallest crop, channels, kind of blur.
#pragma once

namespace doppel::options {

/// The views' size and the crops they are cut from, for a pipeline in views/.
struct CropOptions {
    int size = 224;            ///< side of the views in pixels
    double min_scale = 0.08;   ///< smallest share of the image's area that a crop takes, above 0 and at most 1
    int channels = 3;          ///< of the views: 3 or 1
    bool pillow_blur = false;  ///< blur by Pillow's box filters, as most authors' torch code does, not by a sampled Gaussian

    /// Below 64 px the papers' small-image pipelines apply: bilinear, no blur, CIFAR-10's mean and deviation.
    bool small() const { return size < 64; }
};

}  // namespace doppel::options
