// SPDX-License-Identifier: Apache-2.0
// AdamW and Adam on lists 0 (parameters), 1 (gradients), 2 (means), 3 (mean squares), 4 (numbers of steps, one each).
DOPPEL_DEVICE_CODE(

/// Counts the step of each tensor; one block.
extern "C" __global__ void __launch_bounds__(128) doppel_adam_count(const __grid_constant__ Lists<5> lists, const float* bad) {
    if (bad && *bad != 0.0f) return;
    for (int i = static_cast<int>(threadIdx.x); i < lists.tensors; i += static_cast<int>(blockDim.x)) *list_at(lists, 4, i) += 1.0f;
}

struct AdamFactors {
    float rate;
    float decay;
    float step_size;
    float root;
};

__device__ inline void adam_element(float& w, float g, float& mean, float& square, const AdamFactors& by, const AdamOptions& options) {
    if (options.decoupled) w -= by.rate * by.decay * w;
    else g += w * by.decay;
    mean = fmaf(options.beta1, mean, fmaf(-options.beta1, g, g));
    square = fmaf(options.beta2, square, fmaf(-options.beta2, g * g, g * g));
    w -= by.step_size * mean / (sqrtf(square) / by.root + options.eps);
}

extern "C" __global__ void __launch_bounds__(512) doppel_adam_step(const __grid_constant__ Lists<5> lists, Scalar lr,
                                                                  Scalar weight_decay, AdamOptions options, const float* bad) {
    if (bad && *bad != 0.0f) return;
    __shared__ AdamFactors shared;
    const Chunk chunk = chunk_of(lists, chunk_size);
    if (threadIdx.x == 0) {
        const double steps = static_cast<double>(*list_at(lists, 4, chunk.tensor));
        shared.rate = static_cast<float>(value_of(lr));
        shared.decay = static_cast<float>(value_of(weight_decay));
        shared.step_size = shared.rate / static_cast<float>(1.0 - pow(options.wide_beta1, steps));
        shared.root = static_cast<float>(sqrt(1.0 - pow(options.wide_beta2, steps)));
    }
    __syncthreads();
    const AdamFactors by = shared;
    float* const weights = list_at(lists, 0, chunk.tensor);
    const float* const gradients = list_at(lists, 1, chunk.tensor);
    float* const means = list_at(lists, 2, chunk.tensor);
    float* const squares = list_at(lists, 3, chunk.tensor);
    each_of<4>(chunk, vectors_at(weights) && vectors_at(gradients) && vectors_at(means) && vectors_at(squares),
               [&](unsigned i) {
                   float4 w = load4(weights + i);
                   const float4 g = load4(gradients + i);
                   float4 mean = load4(means + i);
                   float4 square = load4(squares + i);
                   adam_element(w.x, g.x, mean.x, square.x, by, options);
                   adam_element(w.y, g.y, mean.y, square.y, by, options);
                   adam_element(w.z, g.z, mean.z, square.z, by, options);
                   adam_element(w.w, g.w, mean.w, square.w, by, options);
                   store4(weights + i, w);
                   store4(means + i, mean);
                   store4(squares + i, square);
               },
               [&](unsigned i) {
                   float w = weights[i];
                   float mean = means[i];
                   float square = squares[i];
                   adam_element(w, gradients[i], mean, square, by, options);
                   weights[i] = w;
                   means[i] = mean;
                   squares[i] = square;
               });
}

)
