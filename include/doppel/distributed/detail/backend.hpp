// SPDX-License-Identifier: Apache-2.0
// c10d's backends, where the headers that they need are there.
#pragma once

#include <c10/util/intrusive_ptr.h>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

#if __has_include(<gloo/transport/device.h>)
#ifndef USE_C10D_GLOO
#define USE_C10D_GLOO  // without it, c10d's header is empty
#endif
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#endif

#include <chrono>
#include <cstdlib>
#include <string>

namespace doppel::distributed::detail {

/// `gpu`: its number, for NCCL. `address`: under which this process is reached, for Gloo; empty: that of the machine's name.
using MakeBackend = c10::intrusive_ptr<c10d::Backend> (*)(const c10::intrusive_ptr<c10d::Store>&, int rank, int size, int gpu,
                                                          const std::string& address, std::chrono::milliseconds timeout);

/// Makes NCCL's; null in a program without distributed/nccl.hpp.
inline MakeBackend nccl = nullptr;

#if __has_include(<gloo/transport/device.h>)
inline MakeBackend gloo_here = [](const c10::intrusive_ptr<c10d::Store>& store, int rank, int size, int, const std::string& address,
                                  std::chrono::milliseconds timeout) -> c10::intrusive_ptr<c10d::Backend> {
    auto options = c10d::ProcessGroupGloo::Options::create(timeout);
    const char* interface = std::getenv("GLOO_SOCKET_IFNAME");
    options->devices.push_back(interface           ? c10d::ProcessGroupGloo::createDeviceForInterface(interface)
                               : !address.empty() ? c10d::ProcessGroupGloo::createDeviceForHostname(address)
                                                  : c10d::ProcessGroupGloo::createDefaultDevice());
    return c10::make_intrusive<c10d::ProcessGroupGloo>(store, rank, size, options);
};
#else
inline MakeBackend gloo_here = nullptr;
#endif

}  // namespace doppel::distributed::detail
