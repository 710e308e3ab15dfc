// SPDX-License-Identifier: Apache-2.0
// Copies list 1 into list 0, byte by byte of any type, if (*bad != 0) is `when`. Sizes count bytes.
DOPPEL_DEVICE_CODE(

extern "C" __global__ void __launch_bounds__(512) doppel_select(const __grid_constant__ Lists<2> lists, const float* bad, int when) {
    if ((*bad != 0.0f) != (when != 0)) return;
    const Chunk chunk = chunk_of(lists, chunk_bytes);
    unsigned char* const to = static_cast<unsigned char*>(lists.at[0][chunk.tensor]);
    const unsigned char* const from = static_cast<const unsigned char*>(lists.at[1][chunk.tensor]);
    each_of<16>(chunk, vectors_at(to) && vectors_at(from),
                [&](unsigned i) { *reinterpret_cast<uint4*>(to + i) = *reinterpret_cast<const uint4*>(from + i); },
                [&](unsigned i) { to[i] = from[i]; });
}

)
