// SPDX-License-Identifier: Apache-2.0
#include <doppel/encoders/torch_script.hpp>
#include <doppel/losses/byol.hpp>
#include <doppel/losses/simsiam.hpp>
#include <doppel/recipe/any_method.hpp>
#include <doppel/targets/ema.hpp>

#include "support/torch_support.hpp"

#include <algorithm>

using namespace doppel;
using namespace doppel::test;

namespace {

using Script = torch::jit::Module;

Script part(const char* name) {
    Script module(name);
    module.register_attribute("training", c10::BoolType::get(), true);
    return module;
}

/// Convolution → BatchNorm → dropout → mean over places. `mode`: what BatchNorm takes for its mode.
Script network(const std::string& mode = "self.training") {
    Script bn = part("Norm"), drop = part("Drop"), net = part("Net");
    bn.register_parameter("weight", at::ones({6}).requires_grad_(), false);
    bn.register_parameter("bias", at::zeros({6}).requires_grad_(), false);
    bn.register_buffer("running_mean", at::zeros({6}));
    bn.register_buffer("running_var", at::ones({6}));
    bn.define("def forward(self, x: Tensor) -> Tensor:\n"
              "    return torch.batch_norm(x, self.weight, self.bias, self.running_mean, self.running_var, " + mode + ", 0.1, 1e-5, False)\n");
    drop.define("def forward(self, x: Tensor) -> Tensor:\n    return torch.dropout(x, 0.5, self.training)\n");
    net.register_parameter("kernel", wave({6, 3, 3, 3}, 0.7, 0.3, at::kFloat).requires_grad_(), false);
    net.register_module("bn", bn);
    net.register_module("drop", drop);
    net.define("def forward(self, x: Tensor) -> Tensor:\n"
               "    h = torch.conv2d(x, self.kernel, None, [2, 2])\n"
               "    return self.drop.forward(torch.relu(self.bn.forward(h))).mean([2, 3])\n");
    return net;
}

std::string saved(const Script& net, const TemporaryFolder& folder, const std::string& name = "net.pt") {
    const std::string path = (folder / name).string();
    net.save(path);
    return path;
}

}  // namespace

TEST_CASE("a TorchScript file is an encoder: its width by a trial, its tensors by their names, its mode and type") {
    const TemporaryFolder folder;
    const encoders::TorchScript spec{saved(network(), folder)};
    auto net = spec.build();
    CHECK(net->feature_dim() == 6);
    CHECK(net->is_training());
    std::vector<std::string> names;
    for (const auto& item : net->named_parameters()) names.push_back(item.key());
    std::sort(names.begin(), names.end());
    CHECK(names == std::vector<std::string>{"bn.bias", "bn.weight", "kernel"});
    CHECK(bit_equal(net->named_parameters()["kernel"], wave({6, 3, 3, 3}, 0.7, 0.3, at::kFloat)));
    // The trials left no trace in the batch statistics.
    CHECK(net->named_buffers()["bn.running_mean"].abs().max().item<double>() == 0);
    CHECK(net->named_buffers()["bn.running_var"].eq(1).all().item<bool>());

    const Tensor x = wave({4, 3, 12, 12}, 0.37, 0.1, at::kFloat);
    net->eval();
    const Tensor before = net->forward(x);
    CHECK(bit_equal(net->forward(x), before));  // no dropout, no statistics
    net->train();
    CHECK(!bit_equal(net->forward(x), before));
    CHECK(net->named_buffers()["bn.running_mean"].abs().max().item<double>() > 0);
    // What is trained is what the script reads.
    net->forward(x).sum().backward();
    CHECK(net->named_parameters()["kernel"].grad().defined());
    net->eval();
    {
        const at::NoGradGuard no_grad;
        net->named_parameters()["kernel"].zero_();
    }
    CHECK(!bit_equal(net->forward(x), before));
    net->to(at::kDouble);
    CHECK(net->forward(x.to(at::kDouble)).scalar_type() == at::kDouble);
}

TEST_CASE("a TorchScript encoder in a method: its Ema copy keeps batch statistics of its own, without dropout") {
    const TemporaryFolder folder;
    const auto recipe = Recipe{.encoder = encoders::TorchScript{saved(network(), folder)}, .target = targets::Ema{.schedule = 0.5},
                               .loss = losses::Byol{}};
    Method method{recipe, {.seed = 1}};
    AnyMethod any = method;
    method->begin({.samples = 100, .steps = 10});
    std::vector<Tensor> parameters;
    for (auto& [name, value] : any.trainable()) parameters.push_back(value);
    CHECK(parameters.size() == 3);
    torch::optim::SGD optimizer(parameters, torch::optim::SGDOptions(0.5));
    const Tensor start = method->named_parameters()["encoder.kernel"].detach().clone();
    method->forward(batch_of(6)).backward();
    const auto targets = method->last().back().target;
    CHECK(method->named_buffers()["target.encoder.bn.running_mean"].abs().max().item<double>() > 0);
    method->discard();
    method->forward(batch_of(6));
    CHECK(bit_equal(method->last().back().target[0], targets[0]));  // no dropout in the target
    CHECK(!bit_equal(method->last().back().online[0], method->last().back().projected[1]));
    optimizer.step();
    method->commit();
    const Tensor now = method->named_parameters()["encoder.kernel"].detach();
    CHECK(!bit_equal(now, start));
    CHECK(largest_difference(method->named_parameters()["target.encoder.kernel"], (now + start) / 2) < 1e-6);
}

TEST_CASE("what is no script to train says so in one line") {
    const TemporaryFolder folder;
    const auto says = [](const encoders::TorchScript& spec, std::initializer_list<std::string_view> parts) {
        const auto text = message_of([&] { spec.build(); });
        INFO(text);
        CHECK(mentions(text, parts));
        CHECK(text.find('\n') == std::string::npos);
    };
    says({(folder / "missing.pt").string()}, {"TorchScript", "cannot load", "missing.pt"});
    says({saved(network("False"), folder)}, {"TorchScript", "BatchNorm does not follow", "0 of 1", "torch.jit.script"});
    says({saved(network("True"), folder)}, {"TorchScript", "BatchNorm does not follow", "1 in evaluation", "torch.jit.script"});
    says({saved(network(), folder), 7}, {"TorchScript", "width 6", "expected 7"});
    says({.path = saved(network(), folder), .trial = {.channels = 1}}, {"TorchScript", "do not pass", "set the image size"});
    Script empty = part("Empty");
    empty.define("def forward(self, x: Tensor) -> Tensor:\n    return x.mean([2, 3])\n");
    says({saved(empty, folder)}, {"TorchScript", "no parameters", "freeze"});
}
