// SPDX-License-Identifier: Apache-2.0
// 8-bit views of a batch, with what their operations drew; a block a view. The arithmetic of image/planar_*.hpp, in integers.
DOPPEL_DEVICE_CODE(

__device__ inline int view_luma(int r, int g, int b) { return (r * 19595 + g * 38470 + b * 7471 + 32768) >> 16; }

__device__ inline unsigned char view_blend(int with, int value, float factor) {
    const float mixed = static_cast<float>(with) + factor * static_cast<float>(value - with);
    const float above = mixed > 0.0f ? mixed : 0.0f;
    return static_cast<unsigned char>(static_cast<int>(above < 255.0f ? above : 255.0f));
}

__device__ inline int view_fade(int steps, int own) {
    const int apart = steps > own ? steps - own : own - steps;
    const int distance = (apart < 1530 - apart ? apart : 1530 - apart) - 255;
    return distance < 0 ? 0 : distance > 255 ? 255 : distance;
}

__device__ inline void view_hue(const unsigned* shortfall, int turn, unsigned char& red, unsigned char& green, unsigned char& blue) {
    const int r = red;
    const int g = green;
    const int b = blue;
    const int high = r > g ? r : g;
    const int low = r < g ? r : g;
    const int value = high > b ? high : b;
    const int chroma = value - (low < b ? low : b);
    if (chroma == 0) return;
    int sector = r == value ? g - b : g == value ? 2 * chroma + b - r : 4 * chroma + r - g;
    if (sector < 0) sector += 6 * chroma;
    int hue = 255 * sector / (6 * chroma);
    if (hue * 6 * chroma == 255 * sector) hue -= static_cast<int>(shortfall[hue / 32] >> hue % 32 & 1u);
    const unsigned depth = static_cast<unsigned>(value * (255 * chroma / value));
    const int steps = ((hue + turn) & 255) * 6;
    red = static_cast<unsigned char>(value - static_cast<int>((depth * static_cast<unsigned>(view_fade(steps, 0)) + 32512u) / 65025u));
    green = static_cast<unsigned char>(value - static_cast<int>((depth * static_cast<unsigned>(view_fade(steps, 510)) + 32512u) / 65025u));
    blue = static_cast<unsigned char>(value - static_cast<int>((depth * static_cast<unsigned>(view_fade(steps, 1020)) + 32512u) / 65025u));
}

__device__ inline unsigned view_sum(unsigned value) {
    __shared__ unsigned sums[32];
    for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(0xffffffffu, value, step);
    __syncthreads();
    if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = value;
    __syncthreads();
    unsigned total = 0;
    for (unsigned warp = 0; warp < blockDim.x / 32; ++warp) total += sums[warp];
    return total;
}

/// One view: pixels [channels, size, size], and memory that its block may use.
struct View {
    unsigned char* at;
    unsigned char* other;
    int size;
    int area;
    int channels;
};

__device__ inline void view_color_jitter(const ViewsJob& job, const ViewStep& step, const double* drawn, const View& view) {
    const int first = static_cast<int>(threadIdx.x);
    const int threads = static_cast<int>(blockDim.x);
    const int slots = step.b;
    unsigned char* const reds = view.at;
    unsigned char* const greens = view.at + view.area;
    unsigned char* const blues = greens + view.area;
    for (int s = 0; s <= slots; ++s) {
        if (step.c && s == step.a && drawn[3 * slots + 1] != 0.0) {
            const int turn = static_cast<int>(drawn[3 * slots]);
            for (int p = first; p < view.area; p += threads) view_hue(job.hue_shortfall, turn, reds[p], greens[p], blues[p]);
        }
        if (s == slots) return;
        const float factor = static_cast<float>(drawn[3 * s]);
        if (drawn[3 * s + 1] != 0.0) {
            for (int p = first; p < view.area; p += threads) {
                const int gray = view_luma(reds[p], greens[p], blues[p]);
                reds[p] = view_blend(gray, reds[p], factor);
                greens[p] = view_blend(gray, greens[p], factor);
                blues[p] = view_blend(gray, blues[p], factor);
            }
            continue;
        }
        int mean = 0;
        const int values = view.area * view.channels;
        if (drawn[3 * s + 2] != 0.0) {
            unsigned sum = 0;
            if (view.channels == 3) {
                for (int p = first; p < view.area; p += threads) sum += static_cast<unsigned>(view_luma(reds[p], greens[p], blues[p]));
            } else {
                for (int c = 0; c < view.channels; ++c)
                    for (int p = first; p < view.area; p += threads) sum += view.at[c * view.area + p];
            }
            const double all = static_cast<double>(view.channels == 3 ? view.area : values);
            mean = static_cast<int>(static_cast<double>(view_sum(sum)) / all + 0.5);
        } else if (factor == 1.0f) {
            continue;
        }
        for (int c = 0; c < view.channels; ++c)
            for (int p = first; p < view.area; p += threads) view.at[c * view.area + p] = view_blend(mean, view.at[c * view.area + p], factor);
    }
}

__device__ inline int view_reflected(int i, int n) {
    if (i >= 0 && i < n) return i;
    if (n == 1) return 0;
    const int period = 2 * (n - 1);
    i = (i % period + period) % period;
    return i < n ? i : period - i;
}

__device__ inline void view_gaussian_blur(double sigma, const View& view) {
    __shared__ double bells[256];
    __shared__ int weights[256];
    if (sigma == 0.0) return;
    const int radius = static_cast<int>(ceil(4.0 * sigma));
    const int count = 2 * radius + 1;
    const int thread = static_cast<int>(threadIdx.x);
    const int threads = static_cast<int>(blockDim.x);
    const int size = view.size;
    __syncthreads();
    for (int t = thread; t < count; t += threads) bells[t] = exp(-0.5 * ((t - radius) / sigma) * ((t - radius) / sigma));
    __syncthreads();
    if (thread == 0) {
        double sum = 0.0;
        for (int t = 0; t < count; ++t) sum += bells[t];
        int rest = 16384;
        for (int t = 0; t < count; ++t) {
            weights[t] = static_cast<int>(bells[t] / sum * 16384.0 + 0.5);
            rest -= weights[t];
        }
        weights[radius] += rest;
    }
    __syncthreads();
    short* const between = reinterpret_cast<short*>(view.other);
    for (int p = thread; p < view.area * view.channels; p += threads) {
        const int x = p % size;
        const unsigned char* const row = view.at + (p - x);
        int sum = 64;
        for (int t = 0; t < count; ++t) sum += weights[t] * row[view_reflected(x + t - radius, size)];
        between[p] = static_cast<short>(sum >> 7);
    }
    __syncthreads();
    for (int p = thread; p < view.area * view.channels; p += threads) {
        const int y = p / size % size;
        const short* const column = between + (p - y * size);
        int sum = 1048576;
        for (int t = 0; t < count; ++t) sum += weights[t] * column[view_reflected(y + t - radius, size) * size];
        view.at[p] = static_cast<unsigned char>(sum >> 21);
    }
    __syncthreads();
}

__device__ inline void view_box_blur(const double* drawn, const View& view) {
    const int radius = static_cast<int>(drawn[0]);
    const unsigned center = static_cast<unsigned>(drawn[1]);
    const unsigned edge = static_cast<unsigned>(drawn[2]);
    if (radius == 0 && edge == 0u) return;
    const int size = view.size;
    const unsigned char* from = view.at;
    unsigned char* to = view.other;
    for (int pass = 0; pass < 6; ++pass) {
        __syncthreads();
        const int stride = pass < 3 ? 1 : size;
        for (int p = static_cast<int>(threadIdx.x); p < view.area * view.channels; p += static_cast<int>(blockDim.x)) {
            const int place = p / stride % size;
            const unsigned char* const line = from + (p - place * stride);
            unsigned sum = 0;
            for (int i = place - radius; i <= place + radius; ++i) sum += line[(i < 0 ? 0 : i > size - 1 ? size - 1 : i) * stride];
            const int left = place - radius - 1;
            const int right = place + radius + 1;
            const unsigned edges = static_cast<unsigned>(line[(left < 0 ? 0 : left) * stride]) + line[(right > size - 1 ? size - 1 : right) * stride];
            to[p] = static_cast<unsigned char>((sum * center + edges * edge + 8388608u) >> 24);
        }
        unsigned char* const next = to;
        to = pass % 2 == 0 ? view.at : view.other;
        from = next;
    }
    __syncthreads();
}

__device__ inline double view_weight(int cubic, double x) {
    x = x < 0.0 ? -x : x;
    if (!cubic) return x < 1.0 ? 1.0 - x : 0.0;
    if (x < 1.0) return (1.5 * x - 2.5) * x * x + 1.0;
    return x < 2.0 ? ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0 : 0.0;
}

/// The first input of an output position, how many there are, and their weights in 22-bit fixed point.
__device__ inline void view_taps(int cubic, int in, int out, int position, int* taps) {
    const double scale = static_cast<double>(in) / out;
    const double widening = scale > 1.0 ? scale : 1.0;
    const double support = (cubic ? 2.0 : 1.0) * widening;
    const double narrowing = 1.0 / widening;
    const double center = (position + 0.5) * scale;
    const int from = static_cast<int>(center - support + 0.5);
    const int until = static_cast<int>(center + support + 0.5);
    const int first = from > 0 ? from : 0;
    const int count = (until < in ? until : in) - first;
    double sum = 0.0;
    for (int i = 0; i < count; ++i) sum += view_weight(cubic, (first + i - center + 0.5) * narrowing);
    const double unit = sum != 0.0 ? 1.0 / sum : 0.0;
    taps[0] = first;
    taps[1] = count;
    for (int i = 0; i < count; ++i) {
        const double weight = view_weight(cubic, (first + i - center + 0.5) * narrowing) * unit * 4194304.0;
        taps[2 + i] = static_cast<int>(weight < 0.0 ? weight - 0.5 : weight + 0.5);
    }
}

__device__ inline unsigned char view_byte(int sum) {
    const int value = sum >> 22;
    return static_cast<unsigned char>(value < 0 ? 0 : value > 255 ? 255 : value);
}

/// Resizes a part of the image at `from`, mirrored if asked for.
__device__ inline void view_crop(const ViewsJob& job, int cubic, const double* drawn, bool mirrored, const unsigned char* from, const View& view) {
    const int left = static_cast<int>(drawn[0]);
    const int width = static_cast<int>(drawn[1]);
    const int top = static_cast<int>(drawn[2]);
    const int height = static_cast<int>(drawn[3]);
    const int thread = static_cast<int>(threadIdx.x);
    const int threads = static_cast<int>(blockDim.x);
    const int size = view.size;
    const int stride = job.tap_stride;
    int* const across = reinterpret_cast<int*>(view.other);
    int* const down = across + size * stride;
    unsigned char* const between = reinterpret_cast<unsigned char*>(down + size * stride);
    for (int i = thread; i < 2 * size; i += threads)
        view_taps(cubic, i < size ? width : height, size, i < size ? (mirrored ? size - 1 - i : i) : i - size, across + i * stride);
    __syncthreads();
    for (int p = thread; p < view.channels * height * size; p += threads) {
        const int x = p % size;
        const int y = p / size % height;
        const int* const taps = across + x * stride;
        const unsigned char* const in = from + (static_cast<long long>(p / size / height) * job.height + top + y) * job.width + left + taps[0];
        int sum = 2097152;
        for (int i = 0; i < taps[1]; ++i) sum += in[i] * taps[2 + i];
        between[p] = view_byte(sum);
    }
    __syncthreads();
    for (int p = thread; p < view.channels * view.area; p += threads) {
        const int y = p / size % size;
        const int* const taps = down + y * stride;
        const unsigned char* const in = between + (p / view.area * height + taps[0]) * size + p % size;
        int sum = 2097152;
        for (int i = 0; i < taps[1]; ++i) sum += in[i * size] * taps[2 + i];
        view.at[p] = view_byte(sum);
    }
    __syncthreads();
}

extern "C" __global__ void __launch_bounds__(512) doppel_views(const __grid_constant__ ViewsJob job) {
    const int row = static_cast<int>(blockIdx.x);
    const double* const drawn = job.drawn + static_cast<long long>(row) * job.columns;
    View view;
    view.size = job.size;
    view.area = job.size * job.size;
    view.channels = job.channels;
    view.at = job.to + static_cast<long long>(row) * view.channels * view.area;
    view.other = job.scratch + row * job.scratch_bytes;
    const unsigned char* const from = job.from + (job.index ? job.index[row] : row) * job.channels * job.height * job.width;
    bool mirrored = false;
    for (int s = 0; s < job.steps; ++s)
        if (job.step[s].kind == 1 && drawn[job.step[s].column] != 0.0) mirrored = !mirrored;
    const int thread = static_cast<int>(threadIdx.x);
    const int threads = static_cast<int>(blockDim.x);
    if (job.step[0].kind != 0)
        for (int p = thread; p < view.area * view.channels; p += threads) view.at[p] = from[mirrored ? p - p % view.size + view.size - 1 - p % view.size : p];
    __syncthreads();
    for (int s = 0; s < job.steps; ++s) {
        const ViewStep& step = job.step[s];
        const double* const own = drawn + step.column;
        if (step.kind == 0) {
            view_crop(job, step.a, own, mirrored, from, view);
            __syncthreads();
        } else if (step.kind == 2) {
            view_color_jitter(job, step, own, view);
        } else if (step.kind == 3 && own[0] != 0.0 && view.channels == 3) {
            for (int p = thread; p < view.area; p += threads) {
                const int gray = view_luma(view.at[p], view.at[view.area + p], view.at[2 * view.area + p]);
                for (int c = 0; c < 3; ++c) view.at[c * view.area + p] = static_cast<unsigned char>(gray);
            }
        } else if (step.kind == 4) {
            view_gaussian_blur(own[0], view);
        } else if (step.kind == 5) {
            view_box_blur(own, view);
        } else if (step.kind == 6) {
            const int threshold = static_cast<int>(own[0]);
            for (int c = 0; c < view.channels; ++c)
                for (int p = thread; p < view.area; p += threads)
                    if (view.at[c * view.area + p] >= threshold) view.at[c * view.area + p] = static_cast<unsigned char>(255 - view.at[c * view.area + p]);
        }
    }
}

)
