// SPDX-License-Identifier: Apache-2.0
// A method of one's own: own encoder, own loss, a momentum target and a queue, put into the slots.
//
// The loss is InfoNCE with a twist that no paper has: negatives count the more, the more alike they are. Everything else
// (building, checkpoints, EMA, queue, command line, report) comes with the slots.
#include <doppel/cli.hpp>
#include <doppel/doppel.hpp>
using namespace doppel;

/// A small convolutional network: any module with forward() and feature_dim() will do.
struct SmallNetImpl : torch::nn::Module {
    torch::nn::Sequential layers;
    SmallNetImpl() {
        for (std::int64_t in = 3, out = 32; out <= 256; in = out, out *= 2) {
            layers->push_back(torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, 3).stride(2).padding(1).bias(false)));
            layers->push_back(torch::nn::BatchNorm2d(out));
            layers->push_back(torch::nn::ReLU());
        }
        register_module("layers", layers);
    }
    Tensor forward(const Tensor& images) { return layers->forward(images).mean({2, 3}); }
    std::int64_t feature_dim() const { return 256; }
};
TORCH_MODULE(SmallNet);

/// −q·k/τ + log Σ_j w_j exp(q·m_j/τ), w_j = softmax_j(q·m_j) · K
Tensor hard_negatives(const Tensor& q, const Tensor& k, const Tensor& queue) {
    const Tensor unit = q / q.norm(2, 1, true).clamp_min(1e-12), s = unit.mm(queue.t());              // [N, K]
    const Tensor positive = at::cosine_similarity(q, k.detach()) / 0.2;                               // [N]
    const Tensor negative = s / 0.2 + (s.detach().softmax(1) * queue.size(0)).log();                  // [N, K]
    return (at::logaddexp(positive, negative.logsumexp(1)) - positive).mean();
}

int main(int argc, char** argv) {
    return cli::run(
        argc, argv,
        {.name = "custom", .title = "Hard negatives", .text = "a method that examples/08_custom_method.cpp invents."},
        [](int size) { return size < 64 ? methods::simclr_small() : methods::SimclrOptions{}; },
        [](auto, const methods::SimclrOptions& o) {
            Recipe recipe{.encoder = [] { return SmallNet(); },
                          .projector = heads::Mlp{.hidden = {256}, .out = o.out},
                          .target = targets::Ema{.schedule = schedules::constant(0.99)},
                          .queue = queues::Fifo{.capacity = 1000},
                          .loss = hard_negatives};
            return with_recipe(methods::simclr([] { return SmallNet(); }, o), "hard_negatives", recipe);
        });
}
