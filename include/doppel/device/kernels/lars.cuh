// SPDX-License-Identifier: Apache-2.0
// LARS on lists 0 (parameters), 1 (gradients), 2 (velocities), in two launches: sums of squares of each chunk, then the step.
DOPPEL_DEVICE_CODE(

__device__ inline float4 decayed(float4 gradient, float4 weight, float decay) {
    return make_float4(gradient.x + weight.x * decay, gradient.y + weight.y * decay, gradient.z + weight.z * decay,
                       gradient.w + weight.w * decay);
}

__device__ inline float square_of(float4 v) { return (v.x * v.x + v.y * v.y) + (v.z * v.z + v.w * v.w); }

/// squares[3 · block]: sums of w², g² and u² with u = g + decay · w.
extern "C" __global__ void __launch_bounds__(512) doppel_lars_squares(const __grid_constant__ Lists<3> lists, Scalar weight_decay,
                                                                     float* squares) {
    const Chunk chunk = chunk_of(lists, chunk_size);
    const float* const weights = list_at(lists, 0, chunk.tensor);
    const float* const gradients = list_at(lists, 1, chunk.tensor);
    const float decay = static_cast<float>(value_of(weight_decay));
    float w2 = 0.0f;
    float g2 = 0.0f;
    float u2 = 0.0f;
    each_of<4>(chunk, vectors_at(weights) && vectors_at(gradients),
               [&](unsigned i) {
                   const float4 w = load4(weights + i);
                   const float4 g = load4(gradients + i);
                   w2 += square_of(w);
                   g2 += square_of(g);
                   u2 += square_of(decayed(g, w, decay));
               },
               [&](unsigned i) {
                   const float w = weights[i];
                   const float g = gradients[i];
                   const float u = g + w * decay;
                   w2 += w * w;
                   g2 += g * g;
                   u2 += u * u;
               });
    w2 = block_sum(w2);
    g2 = block_sum(g2);
    u2 = block_sum(u2);
    if (threadIdx.x == 0) {
        squares[3 * blockIdx.x] = w2;
        squares[3 * blockIdx.x + 1] = g2;
        squares[3 * blockIdx.x + 2] = u2;
    }
}

/// One parameter's part of the step: w and v change.
__device__ inline void lars_element(float& w, float g, float& v, float decay, float factor, float rate, const LarsOptions& options) {
    const float u = (g + w * decay) * factor;
    float direction = u;
    if (options.has_velocity) {
        v = options.momentum * v + u;
        direction = options.nesterov ? u + options.momentum * v : v;
    }
    w -= rate * direction;
}

/// The sum of every `step`-th value over `count` of them, in every thread.
__device__ inline float sum_of(const float* values, unsigned count, unsigned step) {
    float sum = 0.0f;
    for (unsigned i = threadIdx.x; i < count; i += blockDim.x) sum += values[i * step];
    return block_sum(sum);
}

extern "C" __global__ void __launch_bounds__(512) doppel_lars_step(const __grid_constant__ Lists<3> lists, const float* squares,
                                                                  Scalar lr, Scalar weight_decay, LarsOptions options,
                                                                  const float* bad) {
    if (bad && *bad != 0.0f) return;
    const Chunk chunk = chunk_of(lists, chunk_size);
    const float step_rate = static_cast<float>(value_of(lr));
    const float decay = static_cast<float>(value_of(weight_decay));
    const bool inside = options.rule == 1;
    float factor = 1.0f;
    if (options.adapts) {
        const unsigned first = lists.first_block[chunk.tensor];
        const unsigned count = lists.first_block[chunk.tensor + 1] - first;
        const float w_norm = sqrtf(sum_of(squares + 3 * first, count, 3));
        if (options.rule < 2) {
            const float u_norm = sqrtf(sum_of(squares + 3 * first + 2, count, 3));
            if (w_norm > 0.0f && u_norm > 0.0f) factor = w_norm * options.eta / u_norm;
        } else {
            const float g_norm = sqrtf(sum_of(squares + 3 * first + 1, count, 3));
            if (w_norm > 0.0f) {
                factor = w_norm * options.eta / (g_norm + w_norm * decay + 1e-8f);
                if (options.rule == 3) factor = step_rate > 0.0f ? fminf(factor / step_rate, 1.0f) : 1.0f;
                if (!(g_norm > 0.0f)) factor = 0.0f;
            }
        }
    }
    if (inside) factor *= step_rate;
    const float rate = inside ? 1.0f : step_rate;
    float* const weights = list_at(lists, 0, chunk.tensor);
    const float* const gradients = list_at(lists, 1, chunk.tensor);
    float* const velocities = list_at(lists, 2, chunk.tensor);
    each_of<4>(chunk, vectors_at(weights) && vectors_at(gradients) && vectors_at(velocities),
               [&](unsigned i) {
                   float4 w = load4(weights + i);
                   const float4 g = load4(gradients + i);
                   float4 v = load4(velocities + i);
                   lars_element(w.x, g.x, v.x, decay, factor, rate, options);
                   lars_element(w.y, g.y, v.y, decay, factor, rate, options);
                   lars_element(w.z, g.z, v.z, decay, factor, rate, options);
                   lars_element(w.w, g.w, v.w, decay, factor, rate, options);
                   if (options.has_velocity) store4(velocities + i, v);
                   store4(weights + i, w);
               },
               [&](unsigned i) {
                   float w = weights[i];
                   float v = velocities[i];
                   lars_element(w, gradients[i], v, decay, factor, rate, options);
                   if (options.has_velocity) velocities[i] = v;
                   weights[i] = w;
               });
}

)
