// SPDX-License-Identifier: Apache-2.0
// Types that the host passes to kernels by value; both sides compile this text.
DOPPEL_DEVICE_CODE(

/// A number that a kernel reads when it runs: *at · times, float64 if wide, else float32; times if at is null.
struct Scalar {
    const void* at;
    int wide;
    double times;
};

/// Elements (`select`: bytes) that a block works on.
constexpr int chunk_size = 16384;
constexpr int chunk_bytes = 65536;
/// Threads of a block that works on chunks.
constexpr int chunk_threads = 512;

/// Lists of tensors that a launch works on together, as many as its parameters (4096 bytes) hold: tensor i of list l is at
/// at[l][i]; blocks first_block[i] to first_block[i + 1] share it.
template <unsigned lists>
struct Lists {
    static constexpr unsigned most = 3920 / (8 + 8 * lists);
    int tensors;
    unsigned first_block[most + 1];
    unsigned size[most];
    void* at[lists][most];
};

/// 8-bit views [images, channels, pixels] and where their normalized values go. A unit of work is a tile of one picture: of
/// all channels (planes = channels, channels-last) or of one (planes = 1, and each plane is a picture). Block first_block + k
/// does the units from k·each on.
struct NormalizedView {
    const void* from;
    void* to;
    int pictures;
    int channels;
    int planes;
    int pixels;
    int tile;
    int each;
    unsigned first_block;
    float mean[16];
    float std[16];
};
struct NormalizedViews {
    static constexpr unsigned most = 20;
    int count;
    int kind;
    NormalizedView views[most];
};
/// Bytes that a block of `normalize` stages: planes · tile is at most this.
constexpr int normalize_bytes = 8192;

/// How LARS steps: rule 0 byol, 1 simclr, 2 larc, 3 clipped, as in optim::Lars.
struct LarsOptions {
    int rule;
    int adapts;
    int nesterov;
    int has_velocity;
    float eta;
    float momentum;
};

struct AdamOptions {
    int decoupled;
    float beta1;
    float beta2;
    float eps;
    double wide_beta1;
    double wide_beta2;
};

/// An operation of views: kind 0 crop (a: bicubic), 1 flip, 2 color jitter (a: slots before the hue, b: slots, c: has a hue),
/// 3 grayscale, 4 Gaussian blur, 5 its box filters, 6 solarize; its parameters begin at a column of the row.
struct ViewStep {
    int kind;
    int column;
    int a;
    int b;
    int c;
};

/// Views [rows, channels, size, size] of images [., channels, height, width]: image index[row], or row. A row of `drawn` has
/// what the operations drew. Each row may use scratch_bytes of scratch; the weights of a crop take tap_stride integers a pixel.
struct ViewsJob {
    static constexpr int most_steps = 16;
    static constexpr int most_taps = 255;
    const unsigned char* from;
    const long long* index;
    const double* drawn;
    unsigned char* to;
    unsigned char* scratch;
    long long scratch_bytes;
    int columns;
    int channels;
    int height;
    int width;
    int size;
    int tap_stride;
    int steps;
    unsigned hue_shortfall[8];
    ViewStep step[most_steps];
};

)
