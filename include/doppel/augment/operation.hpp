// SPDX-License-Identifier: Apache-2.0
// The concept of an augmentation operation, and its type-erased form.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/random.hpp>
#include <doppel/image/image.hpp>

#include <concepts>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <typeinfo>
#include <utility>

namespace doppel::augment {

/// A closed interval [low, high] that a parameter is drawn from.
struct Range {
    double low = 0, high = 1;
    bool operator==(const Range&) const = default;
};

/// A callable that changes an image in place, with random numbers from the stream of its view.
/// Must be callable from several threads at once.
///
/// Optional members: `void check() const` throws Error if an option is invalid; `std::string describe() const`;
/// `Image made_from(const Image&, random::Stream&) const` returns the changed image and leaves its source unchanged,
/// which saves the copy of a large photograph if the operation comes first.
template <class T>
concept Operation = std::copy_constructible<T> && requires(const T& operation, Image& image, random::Stream& stream) {
    operation(image, stream);
};

/// Type-erased operation, cheap to copy (copies share it).
///
///     augment::AnyOperation dark = [](Image& image, random::Stream&) { image::brightness(image, 0.5); };
class AnyOperation {
public:
    template <class T>
        requires(!std::same_as<T, AnyOperation> && Operation<T>)
    AnyOperation(T operation) {  // NOLINT: implicit by intent
        if constexpr (requires { operation.check(); }) operation.check();
        self_ = std::make_shared<Model<T>>(std::move(operation));
    }

    void operator()(Image& image, random::Stream& stream) const { self_->change(image, stream); }
    Image made_from(const Image& source, random::Stream& stream) const { return self_->made_from(source, stream); }
    /// Returns the name with options in parentheses; "custom" if the operation has no describe().
    std::string describe() const { return self_->describe(); }
    /// Returns whether the operation is a T.
    template <class T>
    bool is() const {
        return self_->type() == typeid(T);
    }
    /// Returns the operation as a T; nullptr if it is of another type.
    template <class T>
    const T* as() const {
        const auto* model = dynamic_cast<const Model<T>*>(self_.get());
        return model ? &model->operation : nullptr;
    }

private:
    struct Interface {
        virtual ~Interface() = default;
        virtual void change(Image&, random::Stream&) const = 0;
        virtual Image made_from(const Image&, random::Stream&) const = 0;
        virtual std::string describe() const = 0;
        virtual const std::type_info& type() const = 0;
    };
    template <class T>
    struct Model final : Interface {
        explicit Model(T t) : operation(std::move(t)) {}
        void change(Image& image, random::Stream& stream) const override { operation(image, stream); }
        Image made_from(const Image& source, random::Stream& stream) const override {
            if constexpr (requires { { operation.made_from(source, stream) } -> std::same_as<Image>; }) {
                return operation.made_from(source, stream);
            } else {
                Image result = source;
                operation(result, stream);
                return result;
            }
        }
        std::string describe() const override {
            if constexpr (requires { { operation.describe() } -> std::convertible_to<std::string>; })
                return operation.describe();
            else
                return "custom";
        }
        const std::type_info& type() const override { return typeid(T); }
        T operation;
    };
    std::shared_ptr<const Interface> self_;
};

namespace detail {

inline std::ostream& operator<<(std::ostream& out, const Range& range) {
    return out << '[' << range.low << ", " << range.high << ']';
}

/// Returns "name(key=value, key=value)".
template <class... Pairs>
std::string called(std::string_view name, const Pairs&... pairs) {
    std::ostringstream text;
    const char* separator = "(";
    text << name;
    const auto one = [&](const auto& pair) {
        text << std::exchange(separator, ", ") << pair.first << '=' << pair.second;
    };
    (one(pairs), ...);
    text << ')';
    return text.str();
}

inline void require_probability(std::string_view who, double p) {
    require(p >= 0 && p <= 1, who, ": p must be in [0, 1], got ", p);
}

inline void require_size(std::string_view who, int size) {
    require(size >= 1, who, ": size must be at least 1 pixel, got ", size);
}

}  // namespace detail

}  // namespace doppel::augment
