// SPDX-License-Identifier: Apache-2.0
// The kernel of every operator on the simulated device: checks, notes, and computes on the CPU in the same memory.
#pragma once

#include "simulated_device/device/guard.hpp"

#include <ATen/EmptyTensor.h>
#include <ATen/core/boxing/KernelFunction.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <sstream>
#include <unordered_map>

namespace simulated::detail {

inline at::Tensor empty_strided(at::IntArrayRef sizes, at::IntArrayRef strides, at::ScalarType type, at::Device device) {
    const c10::DeviceGuard guard(device);
    return at::detail::empty_strided_generic(sizes, strides, &allocator(), c10::DispatchKeySet(c10::DispatchKey::CUDA), type);
}

/// What is known of an operator before it is called.
class Operator final : public c10::OperatorKernel {
public:
    Operator(std::string name, std::string_view flags) : name_(std::move(name)) {
        const auto has = [&](char flag) { return flags.find(flag) != std::string_view::npos; };
        several_devices_ = has('n');
        takes_indices_ = name_ == "index.Tensor" || name_.starts_with("index_put") || name_.starts_with("_index_put_impl");
        // Kernels that look at an error flag or at a range before they return.
        static const std::set<std::string_view> look{"_linalg_eigh", "_linalg_eigh.eigenvalues", "_linalg_svd", "_linalg_svd.U", "linalg_eig",
            "linalg_eig.out", "linalg_lstsq.out", "histc", "histc.out", "multinomial", "multinomial.out", "_linalg_eigvals", "cholesky"};
        if (has('d')) waits_ = "reads a value back";
        else if (has('s') && !takes_indices_) waits_ = "the result's shape depends on data";
        else if (look.contains(name_)) waits_ = "looks at an error flag on the host";
    }
    void operator()(const c10::OperatorHandle& op, c10::DispatchKeySet, torch::jit::Stack* stack) { Call(*this, op, *stack).run(); }

private:
    /// One call: its arguments on the CPU, and the results back.
    class Call {
    public:
        Call(const Operator& own, const c10::OperatorHandle& op, torch::jit::Stack& stack)
            : own_(own), op_(op), schema_(op.schema()), stack_(stack), arguments_(schema_.arguments().size()), first_(stack.size() - arguments_) {}

        void run() {
            check_devices();
            std::string waits = own_.waits_;
            if (own_.takes_indices_ && waits.empty()) waits = why_indices_wait();
            if (!waits.empty()) forbid_in_capture(own_.name_ + ", " + waits);
            Recording* const record = recording();
            std::vector<c10::IValue> given;
            if (record) given.assign(stack_.begin() + static_cast<std::ptrdiff_t>(first_), stack_.end());
            const Place place = current_place(device_.index());
            note_launches();
            to_cpu();
            const auto addresses = aliases_.addresses();
            settle(addresses);
            touch(own_.name_, place, next_on(place), reads_, writes_);
            {
                const Open open(addresses);
                const c10::DeviceGuard guard(device_);
                const at::AutoDispatchBelowADInplaceOrView below;
                op_.callBoxed(&stack_);
                to_device(place);
            }
            if (record)
                record->work.push_back([op = op_, given, gave = std::vector<c10::IValue>(stack_.end() - static_cast<std::ptrdiff_t>(schema_.returns().size()), stack_.end())] {
                    again(op, given, gave);
                });
            if (!waits.empty()) {
                note({.what = What::wait, .op = own_.name_, .why = waits});
                host_waits_for(place);
            }
        }

        /// The call once more, with the arguments of then; what it gives goes to where it went then.
        static void again(const c10::OperatorHandle& op, const std::vector<c10::IValue>& given, const std::vector<c10::IValue>& gave) {
            torch::jit::Stack stack(given.begin(), given.end());
            op.callBoxedForDispatchKey(c10::DispatchKey::CUDA, stack);
            const auto write = [](const at::Tensor& to, const at::Tensor& from) {
                if (!to.defined() || !on_device(to) || to.storage().data() == from.storage().data()) return;
                TORCH_CHECK(to.sizes() == from.sizes(), "a replay gives another shape");
                Aliases aliases;
                const at::Tensor target = aliases.of(to), source = aliases.of(from);
                const at::AutoDispatchBelowADInplaceOrView below;
                const Open open(aliases.addresses());
                target.copy_(source);
            };
            for (std::size_t i = 0; i < gave.size(); ++i) {
                const c10::IValue& now = stack[stack.size() - gave.size() + i];
                if (gave[i].isTensor()) {
                    write(gave[i].toTensor(), now.toTensor());
                } else if (gave[i].isTensorList()) {
                    const auto to = gave[i].toTensorVector(), from = now.toTensorVector();
                    for (std::size_t j = 0; j < to.size(); ++j) write(to[j], from[j]);
                }
            }
        }

    private:
        c10::IValue& argument(std::size_t i) { return stack_[first_ + i]; }
        const std::string& argument_name(std::size_t i) const { return schema_.arguments()[i].name(); }

        template <class F>
        void each_tensor(F&& use) {
            for (std::size_t i = 0; i < arguments_; ++i) {
                const auto& value = argument(i);
                if (value.isTensor()) {
                    if (value.toTensor().defined()) use(value.toTensor(), i);
                } else if (value.isTensorList() || value.isList()) {
                    for (const c10::IValue& element : value.toListRef())
                        if (element.isTensor() && element.toTensor().defined()) use(element.toTensor(), i);
                }
            }
        }

        /// All tensors lie on one device. Where kernels go through TensorIterator, a number may lie on the CPU.
        void check_devices() {
            std::optional<at::Device> first;
            std::optional<std::pair<std::size_t, at::Device>> wrong;
            each_tensor([&](const at::Tensor& t, std::size_t i) {
                const bool fits = on_device(t) ? !first || *first == t.device() : t.dim() == 0 && own_.several_devices_;
                if (on_device(t) && !first) first = t.device();
                if (!fits && !wrong && !(own_.takes_indices_ && argument_name(i) == "indices")) wrong.emplace(i, t.device());
            });
            for (std::size_t i = 0; i < arguments_; ++i) {
                if (argument(i).isDevice() && argument(i).toDevice().type() == kind) device_ = argument(i).toDevice();
                if (!argument(i).isGenerator()) continue;
                const at::Device device = argument(i).toGenerator().device();
                TORCH_CHECK(device.type() == kind, "Expected a '", kind, "' device type for generator but found '", device, "' (aten::", own_.name_, ")");
            }
            if (first) device_ = *first;
            device_ = at::Device(kind, index_of(device_));
            TORCH_CHECK(!wrong || !first, "Expected all tensors to be on the same device, but found at least two devices, ", device_, " and ",
                        wrong->second, "! (when checking argument for argument ", argument_name(wrong->first), " in method aten::", own_.name_, ")");
        }

        std::string why_indices_wait() {
            std::string why;
            each_tensor([&](const at::Tensor& t, std::size_t i) {
                if (argument_name(i) != "indices") return;
                if (t.scalar_type() == at::kBool || t.scalar_type() == at::kByte) why = "a mask as index: the shape depends on data";
                else if (!on_device(t)) why = "indices on the CPU are copied";
            });
            return why;
        }

        void note_launches() {
            Note launch{.op = own_.name_};
            if (state().settings.details) describe(launch);
            const std::size_t slow = launches_of_slow_route();
            if (slow > 0) launch.why = "slow route: one launch per tensor";
            for (std::size_t i = 0; i < std::max<std::size_t>(slow, 1); ++i) note(launch);
        }
        void describe(Note& launch) {
            std::ostringstream numbers, shapes;
            const auto number = [&](std::size_t i, const auto& value) { numbers << (numbers.tellp() > 0 ? " " : "") << argument_name(i) << '=' << value; };
            for (std::size_t i = 0; i < arguments_; ++i) {
                const auto& value = argument(i);
                const auto& name = argument_name(i);
                if (value.isDouble()) number(i, value.toDouble());
                else if (value.isInt() && name != "dtype" && name != "layout" && name != "memory_format") number(i, value.toInt());
                else if (value.isBool()) number(i, value.toBool());
                else if (value.isTensor() && value.toTensor().defined() && !on_device(value.toTensor()) && value.toTensor().dim() == 0) number(i, value.toTensor().item<double>());
                else if (value.isDoubleList()) for (const double element : value.toDoubleVector()) number(i, element);
            }
            each_tensor([&](const at::Tensor& t, std::size_t) {
                shapes << t.sizes();
                if (t.storage_offset() != 0) shapes << '@' << t.storage_offset();
            });
            launch.numbers = numbers.str();
            launch.shapes = shapes.str();
        }

        /// 0 where CUDA's multi-tensor kernels take the lists; else their length. The rule of ATen/native/ForeachUtils.h: one type
        /// (but for copies), shapes and layouts that agree, and numbers that change no type.
        std::size_t launches_of_slow_route() {
            if (!own_.name_.starts_with("_foreach_")) return 0;
            const bool copies = own_.name_.starts_with("_foreach_copy"), divides = own_.name_.starts_with("_foreach_div");
            std::vector<std::vector<at::Tensor>> lists;
            for (std::size_t i = 0; i < arguments_; ++i)
                if (argument(i).isTensorList()) lists.push_back(argument(i).toTensorVector());
            if (lists.empty() || lists[0].empty()) return 0;
            bool fast = true;
            for (const auto& list : lists)
                for (std::size_t j = 0; fast && j < list.size(); ++j)
                    fast = list.size() == lists[0].size() && same_layout(lists[0][j], list[j]) &&
                           list[j].scalar_type() == (copies ? list[0] : lists[0][0]).scalar_type() &&
                           !(divides && at::isIntegralType(list[j].scalar_type(), true));
            for (std::size_t i = 0; fast && i < arguments_; ++i) {
                const auto& value = argument(i);
                if (value.isScalar() && !value.isBool())
                    for (const auto& t : lists[0]) fast = fast && at::result_type(t, value.toScalar()) == t.scalar_type();
                if (value.isTensor() && value.toTensor().defined()) fast = fast && value.toTensor().scalar_type() == lists[0][0].scalar_type();
            }
            return fast ? 0 : lists[0].size();
        }

        at::Tensor host(const at::Tensor& t, bool written) {
            if (!on_device(t)) return t;
            if (const auto found = tensors_.find(t.unsafeGetTensorImpl()); found != tensors_.end()) return found->second.second;
            const bool may_grow = written && t.numel() == 0 && t.storage().nbytes() == 0;
            const at::Tensor cpu = may_grow ? at::detail::empty_cpu(t.sizes(), t.scalar_type(), false, std::nullopt) : aliases_.of(t);
            tensors_.emplace(t.unsafeGetTensorImpl(), std::pair(t, cpu));
            (written ? writes_ : reads_).push_back(t.storage().data());
            return cpu;
        }
        void to_cpu() {
            for (std::size_t i = 0; i < arguments_; ++i) {
                auto& value = argument(i);
                const auto& argument_schema = schema_.arguments()[i];
                const bool written = (argument_schema.alias_info() && argument_schema.alias_info()->isWrite()) ||
                                     (own_.name_ == "native_batch_norm" && argument_schema.name().starts_with("running_"));  // undeclared
                if (argument_schema.name() == "found_inf" && state().settings.faults.found_inf_ignored) {
                    value = c10::IValue();
                } else if (argument_schema.name() == "pin_memory") {
                    value = c10::IValue();
                } else if (value.isTensor()) {
                    if (value.toTensor().defined()) value = host(value.toTensor(), written);
                } else if (value.isTensorList()) {
                    c10::List<at::Tensor> list;
                    for (const at::Tensor& t : value.toTensorVector()) list.push_back(t.defined() ? host(t, written) : t);
                    value = list;
                } else if (value.isList() && argument_schema.type()->str().find("Tensor") != std::string::npos) {
                    c10::List<std::optional<at::Tensor>> list;
                    for (const c10::IValue& element : value.toListRef())
                        list.push_back(element.isTensor() && element.toTensor().defined() ? std::optional(host(element.toTensor(), false)) : std::nullopt);
                    value = list;
                } else if (value.isDevice()) {
                    value = at::Device(at::kCPU);
                } else if (value.isGenerator()) {
                    value = host_generator(value.toGenerator());
                } else if (value.isNone() && argument_schema.name() == "generator") {
                    value = host_generator(default_generator(device_.index()));
                }
            }
        }

        /// A new tensor of the device with the values of a CPU tensor.
        at::Tensor moved(const at::Tensor& cpu, at::Device device) const {
            auto result = empty_strided(cpu.sizes(), cpu.strides(), cpu.scalar_type(), device);
            Aliases own;
            const at::Tensor alias = own.of(result);
            const Open open(own.addresses());
            alias.copy_(cpu);
            return result;
        }
        at::Tensor on_its_device(const at::Tensor& cpu, Place place) {
            if (!cpu.defined() || cpu.device().type() != at::kCPU) return cpu;
            for (const auto& [impl, pair] : tensors_)
                if (pair.second.is_same(cpu)) return pair.first;
            for (const auto& [impl, pair] : tensors_)
                if (cpu.has_storage() && cpu.storage().unsafeGetStorageImpl() == pair.second.storage().unsafeGetStorageImpl()) {
                    auto view = at::detail::make_tensor<c10::TensorImpl>(c10::Storage(pair.first.storage()), c10::DispatchKeySet(c10::DispatchKey::CUDA), cpu.dtype());
                    view.unsafeGetTensorImpl()->set_sizes_and_strides(cpu.sizes(), cpu.strides(), cpu.storage_offset());
                    return view;
                }
            const at::Tensor result = moved(cpu, device_);
            const auto guard = lock();
            touch(own_.name_, place, state().streams[place], {}, {result.storage().data()});
            return result;
        }
        void to_device(Place place) {
            for (auto& [impl, pair] : tensors_) {  // outputs that were empty and have been resized
                auto& [own, cpu] = pair;
                if (own.sizes() == cpu.sizes() && own.strides() == cpu.strides()) continue;
                if (own.numel() == 0 && cpu.numel() > 0) own.unsafeGetTensorImpl()->set_storage_keep_dtype(moved(cpu, own.device()).storage());
                own.unsafeGetTensorImpl()->set_sizes_and_strides(cpu.sizes(), cpu.strides(), own.storage_offset());
            }
            for (std::size_t i = stack_.size() - schema_.returns().size(); i < stack_.size(); ++i) {
                auto& value = stack_[i];
                if (value.isTensor()) {
                    value = on_its_device(value.toTensor(), place);
                } else if (value.isTensorList()) {
                    c10::List<at::Tensor> list;
                    for (const at::Tensor& t : value.toTensorVector()) list.push_back(on_its_device(t, place));
                    value = list;
                }
            }
        }

        const Operator& own_;
        const c10::OperatorHandle& op_;
        const c10::FunctionSchema& schema_;
        torch::jit::Stack& stack_;
        std::size_t arguments_, first_;
        at::Device device_{kind, -1};
        Aliases aliases_;
        std::unordered_map<void*, std::pair<at::Tensor, at::Tensor>> tensors_;  // on the device, on the CPU
        std::vector<const void*> reads_, writes_;
    };

    std::string name_;
    bool several_devices_ = false, takes_indices_ = false;
    std::string waits_;
};

}  // namespace simulated::detail
