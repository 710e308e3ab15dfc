// SPDX-License-Identifier: Apache-2.0
// Adds a tile of a matrix to a running log-sum-exp of each row; a block a row.
DOPPEL_DEVICE_CODE(

/// The largest value and the sum of exp(value − most).
struct RowSum {
    float most;
    float sum;
};

__device__ inline float exp_of(float value, float most) { return value == most ? 1.0f : expf(value - most); }

__device__ inline RowSum joined(RowSum a, RowSum b) {
    const bool first = a.most > b.most;
    const float most = first ? a.most : b.most;
    const RowSum result = {most, first ? a.sum + b.sum * exp_of(b.most, most) : b.sum + a.sum * exp_of(a.most, most)};
    return result;
}

__device__ inline RowSum with_value(RowSum row, float value) {
    if (value <= row.most) row.sum += exp_of(value, row.most);
    else {
        row.sum = row.sum * exp_of(row.most, value) + 1.0f;
        row.most = value;
    }
    return row;
}

/// Column row + diagonal, where there is one, is left out.
extern "C" __global__ void __launch_bounds__(256) doppel_row_sums(const float* tile, long long stride, int columns, float scale,
                                                                 long long diagonal, float* most, float* sum) {
    __shared__ RowSum of_warp[32];
    const long long row = blockIdx.x;
    const float* const values = tile + row * stride;
    const long long without = row + diagonal;
    RowSum own = {-__int_as_float(0x7f800000), 0.0f};
    for (int i = static_cast<int>(threadIdx.x); i < columns; i += static_cast<int>(blockDim.x))
        if (i != without) own = with_value(own, values[i] * scale);
    for (int step = 16; step > 0; step /= 2) {
        const RowSum other = {__shfl_xor_sync(0xffffffffu, own.most, step), __shfl_xor_sync(0xffffffffu, own.sum, step)};
        own = joined(own, other);
    }
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = own;
    __syncthreads();
    if (threadIdx.x == 0) {
        own.most = most[row];
        own.sum = sum[row];
        for (unsigned warp = 0; warp < blockDim.x / 32; ++warp) own = joined(own, of_warp[warp]);
        most[row] = own.most;
        sum[row] = own.sum;
    }
}

)
