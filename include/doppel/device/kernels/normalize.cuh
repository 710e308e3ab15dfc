// SPDX-License-Identifier: Apache-2.0
// 8-bit views to (x/255 − mean)/std through a table of each block, in float32, bfloat16 or float16. Reads and
// writes of a block are contiguous, in both memory formats.
DOPPEL_DEVICE_CODE(

/// Rounded to nearest, ties to even.
__device__ inline unsigned short bfloat16_of(float value) {
    const unsigned bits = __float_as_uint(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fc0;
    return static_cast<unsigned short>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

__device__ inline unsigned short float16_of(float value) {
    const unsigned bits = __float_as_uint(value);
    const unsigned sign = (bits >> 16) & 0x8000u;
    const unsigned size = bits & 0x7fffffffu;
    if (size > 0x7f800000u) return static_cast<unsigned short>(sign | 0x7e00u);
    if (size >= 0x477ff000u) return static_cast<unsigned short>(sign | 0x7c00u);
    if (size < 0x38800000u) {
        const float shifted = __uint_as_float(size) + 0.5f;
        return static_cast<unsigned short>(sign | (__float_as_uint(shifted) - 0x3f000000u));
    }
    return static_cast<unsigned short>(sign | ((size + 0xfffu + ((size >> 13) & 1u) - 0x38000000u) >> 13));
}

struct Rounded4 {
    unsigned short x;
    unsigned short y;
    unsigned short z;
    unsigned short w;
};

/// Writes `count` values from position `start` on; `value(i)` gives the bits of value i. `vectors`: start is a multiple of
/// four, and `to` of 16.
template <class Value>
__device__ inline void write_tile(void* to, long long start, int count, int kind, bool vectors, Value value) {
    const int whole = vectors ? count / 4 * 4 : 0;
    if (kind == 0) {
        unsigned* const out = static_cast<unsigned*>(to) + start;
        for (int i = 4 * static_cast<int>(threadIdx.x); i < whole; i += 4 * static_cast<int>(blockDim.x))
            *reinterpret_cast<uint4*>(out + i) = make_uint4(value(i), value(i + 1), value(i + 2), value(i + 3));
        for (int i = whole + static_cast<int>(threadIdx.x); i < count; i += static_cast<int>(blockDim.x)) out[i] = value(i);
    } else {
        unsigned short* const out = static_cast<unsigned short*>(to) + start;
        for (int i = 4 * static_cast<int>(threadIdx.x); i < whole; i += 4 * static_cast<int>(blockDim.x))
            *reinterpret_cast<uint2*>(out + i) = make_uint2(value(i) | value(i + 1) << 16, value(i + 2) | value(i + 3) << 16);
        for (int i = whole + static_cast<int>(threadIdx.x); i < count; i += static_cast<int>(blockDim.x))
            out[i] = static_cast<unsigned short>(value(i));
    }
}

extern "C" __global__ void __launch_bounds__(256) doppel_normalize(const __grid_constant__ NormalizedViews all) {
    __shared__ unsigned table[16 * 256];
    __shared__ uint4 staged[normalize_bytes / 16];
    unsigned char* const bytes = reinterpret_cast<unsigned char*>(staged);
    const int thread = static_cast<int>(threadIdx.x);
    const int threads = static_cast<int>(blockDim.x);
    int which = 0;
    while (which + 1 < all.count && all.views[which + 1].first_block <= blockIdx.x) ++which;
    const NormalizedView& view = all.views[which];
    for (int i = thread; i < 256 * view.channels; i += threads) {
        const float value = (static_cast<float>(i % 256) / 255.0f - view.mean[i / 256]) / view.std[i / 256];
        table[i] = all.kind == 0 ? __float_as_uint(value) : all.kind == 1 ? bfloat16_of(value) : float16_of(value);
    }
    const int planes = view.planes;
    const int tile = view.tile;
    const int tiles = (view.pixels + tile - 1) / tile;
    const bool whole = view.pixels % 4 == 0;
    const bool words = whole && reinterpret_cast<unsigned long long>(view.from) % 4 == 0;
    const bool vectors = whole && vectors_at(view.to);
    const long long units = static_cast<long long>(view.pictures) * tiles;
    const long long start = static_cast<long long>(blockIdx.x - view.first_block) * view.each;
    for (long long unit = start; unit < start + view.each && unit < units; ++unit) {
        const long long picture = unit / tiles;
        const int first = static_cast<int>(unit % tiles) * tile;
        const int pixels = view.pixels - first < tile ? view.pixels - first : tile;
        const unsigned char* from = static_cast<const unsigned char*>(view.from) + picture * planes * view.pixels + first;
        for (int c = 0; c < planes; ++c) {
            const int at = c * tile;
            if (words)
                for (int i = thread; i < pixels / 4; i += threads)
                    reinterpret_cast<unsigned*>(bytes + at)[i] = reinterpret_cast<const unsigned*>(from)[i];
            else
                for (int i = thread; i < pixels; i += threads) bytes[at + i] = from[i];
            from += view.pixels;
        }
        __syncthreads();
        const long long to = (picture * view.pixels + first) * planes;
        if (planes == 1) {
            const unsigned* const values = table + picture % view.channels * 256;
            write_tile(view.to, to, pixels, all.kind, vectors, [&](int i) { return values[bytes[i]]; });
        } else if (planes == 3) {
            write_tile(view.to, to, 3 * pixels, all.kind, vectors, [&](int i) {
                const int pixel = i / 3;
                const int c = i - 3 * pixel;
                return table[c * 256 + bytes[c * tile + pixel]];
            });
        } else {
            write_tile(view.to, to, planes * pixels, all.kind, vectors, [&](int i) {
                const int pixel = i / planes;
                const int c = i - planes * pixel;
                return table[c * 256 + bytes[c * tile + pixel]];
            });
        }
        __syncthreads();
    }
}

)
