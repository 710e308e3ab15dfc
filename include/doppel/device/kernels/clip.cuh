// SPDX-License-Identifier: Apache-2.0
// Clips each gradient to a norm of its own, in two launches.
DOPPEL_DEVICE_CODE(

extern "C" __global__ void __launch_bounds__(512) doppel_squares(const __grid_constant__ Lists<1> lists, float* squares) {
    const Chunk chunk = chunk_of(lists, chunk_size);
    const float* const values = list_at(lists, 0, chunk.tensor);
    float sum = 0.0f;
    each_of<4>(chunk, vectors_at(values), [&](unsigned i) { sum += square_of(load4(values + i)); },
               [&](unsigned i) { sum += values[i] * values[i]; });
    sum = block_sum(sum);
    if (threadIdx.x == 0) squares[blockIdx.x] = sum;
}

extern "C" __global__ void __launch_bounds__(512) doppel_clip_each(const __grid_constant__ Lists<1> lists, const float* squares,
                                                                  float most, float* norms) {
    const Chunk chunk = chunk_of(lists, chunk_size);
    const unsigned first = lists.first_block[chunk.tensor];
    const float norm = sqrtf(sum_of(squares + first, lists.first_block[chunk.tensor + 1] - first, 1));
    if (blockIdx.x == first && threadIdx.x == 0) norms[chunk.tensor] = norm;
    const float ratio = most / (norm + 1e-6f);
    const float factor = ratio > 1.0f ? 1.0f : ratio;
    if (factor == 1.0f) return;
    float* const values = list_at(lists, 0, chunk.tensor);
    each_of<4>(chunk, vectors_at(values),
               [&](unsigned i) {
                   const float4 v = load4(values + i);
                   store4(values + i, make_float4(v.x * factor, v.y * factor, v.z * factor, v.w * factor));
               },
               [&](unsigned i) { values[i] *= factor; });
}

)
