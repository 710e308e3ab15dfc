// SPDX-License-Identifier: Apache-2.0
// What several kernels use.
DOPPEL_DEVICE_CODE(

__device__ inline double value_of(Scalar number) {
    if (!number.at) return number.times;
    const double value = number.wide ? *static_cast<const double*>(number.at)
                                     : static_cast<double>(*static_cast<const float*>(number.at));
    return value * number.times;
}

/// The part of a tensor that this block works on.
struct Chunk {
    int tensor;
    unsigned begin;
    unsigned end;
};

template <unsigned lists>
__device__ inline Chunk chunk_of(const Lists<lists>& all, unsigned elements) {
    int low = 0;
    int high = all.tensors;
    while (high - low > 1) {
        const int middle = (low + high) / 2;
        if (all.first_block[middle] <= blockIdx.x) low = middle;
        else high = middle;
    }
    Chunk chunk;
    chunk.tensor = low;
    chunk.begin = (blockIdx.x - all.first_block[low]) * elements;
    const unsigned left = all.size[low] - chunk.begin;
    chunk.end = chunk.begin + (left < elements ? left : elements);
    return chunk;
}

template <unsigned lists>
__device__ inline float* list_at(const Lists<lists>& all, int list, int tensor) {
    return static_cast<float*>(all.at[list][tensor]);
}

__device__ inline bool vectors_at(const void* at) { return reinterpret_cast<unsigned long long>(at) % 16 == 0; }

/// Visits a chunk: `vector(i)` handles the elements i to i + step, where all addresses are multiples of 16; `single(i)` one,
/// where not and at the end.
template <unsigned step, class Vector, class Single>
__device__ inline void each_of(const Chunk& chunk, bool vectors, Vector vector, Single single) {
    const unsigned whole = vectors ? chunk.begin + (chunk.end - chunk.begin) / step * step : chunk.begin;
    for (unsigned i = chunk.begin + step * threadIdx.x; i < whole; i += step * blockDim.x) vector(i);
    for (unsigned i = whole + threadIdx.x; i < chunk.end; i += blockDim.x) single(i);
}

__device__ inline float4 load4(const float* at) { return *reinterpret_cast<const float4*>(at); }
__device__ inline void store4(float* at, float4 values) { *reinterpret_cast<float4*>(at) = values; }

/// The sum over all threads of a block, in every thread. A block has whole warps, at most 32.
__device__ inline float block_sum(float value) {
    __shared__ float sums[32];
    for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(0xffffffffu, value, step);
    __syncthreads();
    if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = value;
    __syncthreads();
    value = threadIdx.x % 32 < blockDim.x / 32 ? sums[threadIdx.x % 32] : 0.0f;
    for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(0xffffffffu, value, step);
    return value;
}

)
