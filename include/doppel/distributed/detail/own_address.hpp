// SPDX-License-Identifier: Apache-2.0
// Under which address other machines reach this one.
#pragma once

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <string_view>

namespace doppel::distributed::detail {

/// Whether there is a machine of this name or address.
inline bool is_known(const std::string& name) {
    addrinfo* found = nullptr;
    const bool known = ::getaddrinfo(name.c_str(), nullptr, nullptr, &found) == 0;
    if (found) ::freeaddrinfo(found);
    return known;
}

/// The address of this machine from which the machine `to` is reached, as numbers: that of the network between them. Nothing is
/// sent. Empty where `to` is not known, or is reached within this machine alone (127.0.0.1).
inline std::string own_address_towards(const std::string& to, int port) {
    addrinfo wanted{}, *found = nullptr;
    wanted.ai_socktype = SOCK_DGRAM;
    if (::getaddrinfo(to.c_str(), std::to_string(port).c_str(), &wanted, &found) != 0) return {};
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(found, ::freeaddrinfo);
    for (; found; found = found->ai_next) {
        const int socket = ::socket(found->ai_family, found->ai_socktype, found->ai_protocol);
        if (socket < 0) continue;
        sockaddr_storage own{};
        socklen_t size = sizeof own;
        auto* address = reinterpret_cast<sockaddr*>(&own);
        const bool routed = ::connect(socket, found->ai_addr, found->ai_addrlen) == 0 && ::getsockname(socket, address, &size) == 0;
        ::close(socket);
        char text[NI_MAXHOST];
        if (!routed || ::getnameinfo(address, size, text, sizeof text, nullptr, 0, NI_NUMERICHOST) != 0) continue;
        const std::string_view numbers = text;
        if (!numbers.starts_with("127.") && numbers != "::1") return std::string(numbers);
    }
    return {};
}

}  // namespace doppel::distributed::detail
