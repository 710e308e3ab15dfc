// SPDX-License-Identifier: Apache-2.0
// Puts the simulated device in its place.
#include "simulated_device/device/device.hpp"

#include "simulated_device/device/kernel.hpp"
#include "simulated_device/device/operators.hpp"

#include <doppel/core/error.hpp>

#include <torch/library.h>
#include <torch/headeronly/version.h>

namespace at::native {  // in libtorch_cpu; their headers include much more

Tensor as_strided_tensorimpl(const Tensor&, IntArrayRef, IntArrayRef, std::optional<int64_t>);
Tensor view(const Tensor&, IntArrayRef);
Tensor _reshape_alias(const Tensor&, IntArrayRef, IntArrayRef);
Tensor unfold(const Tensor&, int64_t, int64_t, int64_t);

}  // namespace at::native

namespace simulated {

namespace detail {
namespace {

at::Tensor empty(at::IntArrayRef size, std::optional<at::ScalarType> type, std::optional<at::Layout>, std::optional<at::Device> device,
                 std::optional<bool> pin, std::optional<at::MemoryFormat> format) {
    TORCH_CHECK(!pin.value_or(false), "Only dense CPU tensors can be pinned");
    const c10::DeviceGuard guard(at::Device(kind, index_of(device.value_or(kind))));
    return at::detail::empty_generic(size, &allocator(), c10::DispatchKeySet(c10::DispatchKey::CUDA), type.value_or(at::get_default_dtype_as_scalartype()), format);
}
at::Tensor empty_strided_op(at::IntArrayRef size, at::IntArrayRef stride, std::optional<at::ScalarType> type, std::optional<at::Layout>,
                            std::optional<at::Device> device, std::optional<bool>) {
    return empty_strided(size, stride, type.value_or(at::get_default_dtype_as_scalartype()), at::Device(kind, index_of(device.value_or(kind))));
}
const at::Tensor& resize(const at::Tensor& self, at::IntArrayRef size, std::optional<at::MemoryFormat> format) {
    auto* impl = self.unsafeGetTensorImpl();
    if (self.sizes() == size && !format) return self;
    impl->set_sizes_contiguous(size);
    if (format) impl->empty_tensor_restride(*format);
    const auto bytes = at::detail::computeStorageNbytes(impl->sizes(), impl->strides(), static_cast<std::size_t>(self.element_size()), static_cast<std::size_t>(impl->storage_offset()));
    const auto& storage = self.storage();
    if (storage.nbytes() >= bytes) return self;
    const c10::DeviceGuard guard(self.device());
    auto data = allocator().allocate(bytes);
    if (storage.nbytes() > 0) {
        settle({storage.data()});
        allocator().copy_data(data.get(), storage.data(), storage.nbytes());
    }
    storage.set_data_ptr_noswap(std::move(data));
    storage.set_nbytes(bytes);
    return self;
}
void record_stream(at::Tensor& self, c10::Stream stream) { Guard().recordDataPtrOnStream(self.storage().data_ptr(), stream); }
/// Lists that lie on two sides go one by one, as on CUDA.
void foreach_copy(at::TensorList self, at::TensorList source, bool non_blocking) {
    const auto op = c10::Dispatcher::singleton().findSchemaOrThrow("aten::_foreach_copy_", "");
    if (std::all_of(self.begin(), self.end(), on_device) && std::all_of(source.begin(), source.end(), on_device)) {
        torch::jit::Stack stack{c10::IValue(self.vec()), c10::IValue(source.vec()), c10::IValue(non_blocking)};
        Operator("_foreach_copy_", "n")(op, {}, &stack);
        return;
    }
    for (std::size_t i = 0; i < self.size(); ++i) {
        at::Tensor to = self[i];
        copy_(to, source[i], non_blocking);
    }
}

}  // namespace
}  // namespace detail

std::string version_problem(const std::string& of_table, const std::string& torch) {
    if (of_table == torch) return "";
    return "simulated device: its table of operators is of LibTorch " + of_table + ", this program has " + torch +
           "; `./run device --table` makes the table again";
}

void install() {
    using namespace detail;
    static const bool once = [] {
        const auto problem = version_problem(table_torch, TORCH_VERSION);
        doppel::require(problem.empty(), problem);
        c10::SetAllocator(kind, &allocator());
        c10::impl::registerDeviceGuard(kind, new Guard);
        at::CUDAHooksRegistry()->Register("CUDAHooks", [](at::CUDAHooksArgs args) -> std::unique_ptr<at::CUDAHooksInterface> {
            return std::make_unique<Hooks>(args);
        });
        doppel::require(at::hasCUDA(), "simulated device: at::hasCUDA() was asked before install(), or libtorch_cuda is linked");
        auto* aten = new torch::Library(torch::Library::IMPL, "aten", c10::DispatchKey::CUDA, __FILE__, __LINE__);
        aten->impl("empty.memory_format", &empty);
        aten->impl("empty_strided", &empty_strided_op);
        aten->impl("as_strided", &at::native::as_strided_tensorimpl);
        aten->impl("view", &at::native::view);
        aten->impl("_reshape_alias", &at::native::_reshape_alias);
        aten->impl("unfold", &at::native::unfold);
        aten->impl("resize_", &resize);
        aten->impl("copy_", &copy_);
        aten->impl("_local_scalar_dense", &read_value);
        aten->impl("record_stream", &record_stream);
        aten->impl("_foreach_copy_", &foreach_copy);
        std::vector<TableRow> all(std::begin(table), std::end(table));
        all.push_back({"convolution", ""});  // CUDA's is a composite that chooses cuDNN: one launch
        for (const auto& [name, flags] : all) {
            const std::string full = name;
            const auto dot = full.find('.');
            const auto op = c10::Dispatcher::singleton().findSchema({"aten::" + full.substr(0, dot), dot == std::string::npos ? "" : full.substr(dot + 1)});
            if (!op || op->hasKernelForDispatchKey(c10::DispatchKey::CUDA) || full.starts_with("set_")) continue;
            aten->impl(name, torch::CppFunction::makeFromBoxedFunctor(std::make_unique<Operator>(full, flags)));
        }
        return true;
    }();
    (void)once;
}

Use::Use(const Settings& settings) {
    const auto guard = detail::lock();
    before_ = std::exchange(detail::state().settings, settings);
    if (settings.closed_to_host && !before_.closed_to_host) {
        struct sigaction action {};
        action.sa_sigaction = &detail::touched_from_outside;
        action.sa_flags = SA_SIGINFO;
        ::sigaction(SIGSEGV, &action, &detail::earlier_action());
    }
}
Use::~Use() {
    const auto guard = detail::lock();
    if (detail::state().settings.closed_to_host && !before_.closed_to_host) ::sigaction(SIGSEGV, &detail::earlier_action(), nullptr);
    detail::state().settings = before_;
}

Trace take() {
    const auto guard = detail::lock();
    for (detail::Copy& copy : detail::copies()) detail::check_source(copy);
    return std::exchange(detail::state().trace, {});
}

void launch(const std::string& name, const std::function<void()>& body) {
    if (detail::recording()) detail::recording()->work.push_back([name, body] { launch(name, body); });
    std::vector<const void*> all;
    {
        const auto guard = detail::lock();
        const auto place = detail::current_place(detail::current_device);
        const auto clock = detail::next_on(place);
        detail::note({.op = name});
        for (detail::Copy& copy : detail::copies())
            if (!copy.down && detail::knows(clock, copy.place, copy.time)) detail::make(copy);
        for (const auto& [start, block] : detail::memory().blocks) all.push_back(start);
    }
    const detail::Open open(all);
    body();
}

void Graph::begin() {
    using namespace detail;
    std::vector<std::pair<char*, std::vector<char>>> bytes;
    std::vector<at::Tensor> generators;
    {
        const auto guard = lock();
        for (Copy& copy : copies())
            if (!copy.down) make(copy);
        std::vector<const void*> all;
        for (const auto& [start, block] : memory().blocks) all.push_back(start);
        const Open open(all);
        for (const auto& [start, block] : memory().blocks) bytes.emplace_back(start, std::vector<char>(start, start + block.bytes));
    }
    for (c10::DeviceIndex i = 0; i < devices; ++i) generators.push_back(host_generator(default_generator(i)).get_state());
    put_back_ = [bytes = std::move(bytes), generators = std::move(generators)] {
        const auto guard = lock();
        for (const auto& [start, before] : bytes)
            if (const auto found = memory().blocks.find(start); found != memory().blocks.end() && found->second.bytes == before.size()) {
                const Open open({start});
                std::memcpy(start, before.data(), before.size());
            }
        for (c10::DeviceIndex i = 0; i < devices; ++i) host_generator(default_generator(i)).set_state(generators[static_cast<std::size_t>(i)]);
    };
    recording() = &recording_;
}

void Graph::end() {
    detail::recording() = nullptr;
    if (auto put_back = std::exchange(put_back_, nullptr)) put_back();
}

void Graph::replay() {
    detail::note({.op = "graph"});
    detail::replaying() = true;
    for (const auto& one : recording_.work) one();
    detail::replaying() = false;
}

}  // namespace simulated
