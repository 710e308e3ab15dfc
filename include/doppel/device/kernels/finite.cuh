// SPDX-License-Identifier: Apache-2.0
// Sets *bad to 1 if a value is infinite or NaN; it never sets it to 0.
DOPPEL_DEVICE_CODE(

__device__ inline bool not_finite(float value) { return (__float_as_uint(value) & 0x7f800000u) == 0x7f800000u; }

extern "C" __global__ void __launch_bounds__(512) doppel_not_finite(const __grid_constant__ Lists<1> lists, float* bad) {
    const Chunk chunk = chunk_of(lists, chunk_size);
    const float* const values = list_at(lists, 0, chunk.tensor);
    bool found = false;
    each_of<4>(chunk, vectors_at(values),
               [&](unsigned i) {
                   const float4 v = load4(values + i);
                   found = found || not_finite(v.x) || not_finite(v.y) || not_finite(v.z) || not_finite(v.w);
               },
               [&](unsigned i) { found = found || not_finite(values[i]); });
    if (found) *bad = 1.0f;
}

)
