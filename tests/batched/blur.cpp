// SPDX-License-Identifier: Apache-2.0
#include <doppel/batched/blur.hpp>

#include "support/batched.hpp"
#include "support/planes.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("a batch is blurred with a deviation for each image, as the CPU does, and left alone with none") {
    const std::vector<double> sigmas{0, 0.1, 0.26, 0.5, 0.7, 1, 1.3, 1.77, 2};
    for (const auto kind : {image::Blur::gaussian, image::Blur::boxes})
        for (const auto& [width, height, channels] : std::vector<std::array<int, 3>>{{16, 16, 3}, {40, 40, 1}, {11, 7, 4}, {3, 3, 3}, {1, 5, 1}}) {
            std::vector<Image> wanted;
            std::vector<double> parameters;
            for (const double sigma : sigmas) {
                wanted.push_back(noise(width, height, channels));
                image::gaussian_blur(wanted.back(), sigma, kind);
                const auto box = sigma > 0 ? image::detail::FractionalBox::for_sigma(static_cast<float>(sigma)) : image::detail::FractionalBox{0, 1U << 24, 0};
                if (kind == image::Blur::boxes)
                    for (const double number : {double(box.radius), double(box.center), double(box.edge)}) parameters.push_back(number);
                else
                    parameters.push_back(sigma);
            }
            const auto count = static_cast<std::int64_t>(sigmas.size());
            batched::Blur blur({.p = 1, .sigma = {0.1, 2}, .kind = kind}, at::kCPU);
            const Tensor x = tensor_of({noise(width, height, channels)}).expand({count, channels, height, width});
            Apart apart;
            for (int twice = 0; twice < 2; ++twice)
                apart.add(blur(x, at::tensor(parameters).view({count, -1})), tensor_of(wanted));
            INFO(image::name_of(kind) << " " << width << "x" << height << "x" << channels << ", " << apart.differ << " of " << apart.of << " differ");
            CHECK(apart.levels <= 1);
            CHECK(apart.share() <= 0.001);
        }
}
