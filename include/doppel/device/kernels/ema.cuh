// SPDX-License-Identifier: Apache-2.0
// ξ ← m ξ + (1 − m) θ: 12 bytes of traffic a parameter.
DOPPEL_DEVICE_CODE(

__device__ inline float interpolated(float from, float to, float weight) {
    const bool small = fabsf(weight) < 0.5f;
    return fmaf(small ? weight : weight - 1.0f, to - from, small ? from : to);
}

__device__ inline float4 interpolated(float4 from, float4 to, float weight) {
    return make_float4(interpolated(from.x, to.x, weight), interpolated(from.y, to.y, weight),
                       interpolated(from.z, to.z, weight), interpolated(from.w, to.w, weight));
}

extern "C" __global__ void __launch_bounds__(512) doppel_ema(const __grid_constant__ Lists<2> lists, Scalar m, const float* bad) {
    if (bad && *bad != 0.0f) return;
    const Chunk chunk = chunk_of(lists, chunk_size);
    float* const target = list_at(lists, 0, chunk.tensor);
    const float* const online = list_at(lists, 1, chunk.tensor);
    const float weight = static_cast<float>(1.0 - value_of(m));
    const bool vectors = vectors_at(target) && vectors_at(online);
    unsigned i = chunk.begin + 4 * threadIdx.x;
    if (vectors && chunk.end - chunk.begin == chunk_size) {
        const unsigned step = 4 * blockDim.x;
        for (; i < chunk.end; i += 2 * step) {
            const float4 from = load4(target + i);
            const float4 to = load4(online + i);
            const float4 other_from = load4(target + i + step);
            const float4 other_to = load4(online + i + step);
            store4(target + i, interpolated(from, to, weight));
            store4(target + i + step, interpolated(other_from, other_to, weight));
        }
        return;
    }
    each_of<4>(chunk, vectors,
            [&](unsigned at) { store4(target + at, interpolated(load4(target + at), load4(online + at), weight)); },
            [&](unsigned at) { target[at] = interpolated(target[at], online[at], weight); });
}

)
