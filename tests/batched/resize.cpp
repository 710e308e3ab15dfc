// SPDX-License-Identifier: Apache-2.0
#include <doppel/batched/resize.hpp>

#include "support/batched.hpp"
#include "support/planes.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("the weights of a resize are those of the CPU, bit for bit") {
    for (const auto filter : {image::Filter::bilinear, image::Filter::bicubic})
        for (const int in : {1, 2, 7, 16, 33, 90})
            for (const int out : {1, 8, 32}) {
                const auto taps = image::detail::taps(filter, in, 0, static_cast<float>(in), out);
                const int start = 3;
                const Tensor got = batched::resize_weights(filter, at::tensor({3., 0.}).view({1, 2}),
                                                           at::tensor({double(in), double(in)}).view({1, 2}), in + 5, out)[0];
                Tensor wanted = at::zeros({out, in + 5}, at::kDouble);
                for (int o = 0; o < out; ++o)
                    for (int i = 0; i < taps.spans[static_cast<std::size_t>(o)].count; ++i)
                        wanted[o][start + taps.spans[static_cast<std::size_t>(o)].first + i] =
                            taps.weights[static_cast<std::size_t>(o * taps.stride + i)];
                INFO(name_of(filter) << " " << in << " to " << out);
                CHECK((got[0] - wanted).abs().max().item<double>() <= 1);  // a sum of float64 numbers in another order
                CHECK((got[0] - wanted).ne(0).sum().item<std::int64_t>() <= 1);
                CHECK(at::equal(got[1].narrow(1, 0, in), got[0].narrow(1, start, in)));
            }
}

TEST_CASE("crops of a batch have the pixels of the CPU's, at the borders too, of gray, color and bands") {
    const std::vector<image::Rect> parts{{0, 0, 24, 18}, {0, 0, 1, 1}, {23, 17, 1, 1}, {3, 5, 16, 8}, {11, 0, 13, 18}, {0, 9, 24, 9}, {7, 7, 9, 2}};
    for (const int channels : {1, 3, 5})
        for (const auto filter : {image::Filter::bilinear, image::Filter::bicubic})
            for (const int size : {1, 8, 20, 31}) {
                const std::vector<Image> images(parts.size(), noise(24, 18, channels));
                std::vector<Image> wanted;
                std::vector<double> numbers;
                for (const auto& part : parts) {
                    wanted.push_back(image::resized_crop(images[0], part, size, size, filter));
                    for (const int number : {part.left, part.width, part.top, part.height}) numbers.push_back(number);
                }
                Apart apart;
                apart.add(batched::resized_crop(tensor_of(images), at::tensor(numbers).view({-1, 4}), size, filter), tensor_of(wanted));
                INFO(channels << " channels, " << name_of(filter) << ", to " << size);
                CHECK(apart.levels <= 1);
                CHECK(apart.share() <= 0.001);
            }
}
