// The two passes of the hierarchical optimizer over one tensor.
//
// Parameters are worked on in blocks whose inputs and hidden layers stay in the first-level cache,
// a vector of parameters at a time and several units side by side in registers. HIDDEN, the units
// of a layer, is given to the compiler. Layouts, row-major: momenta and seconds (5, length); the
// inputs of a parameter are gradient, value, log |value|, momenta over the root (5), one over the
// root (5), momenta, seconds. C++17 with the vector types of GCC and Clang.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace {

constexpr int LANES = 16, BLOCK = 64, INPUTS = 23, GROUP = HIDDEN % 8 == 0 ? 8 : 1;
constexpr float EPSILON = 1e-6f, LARGEST_D = 1e3f, LARGEST_A = 5e3f;

typedef float vec __attribute__((vector_size(4 * LANES)));

struct alignas(64) Rows {
    float at[HIDDEN > INPUTS ? HIDDEN : INPUTS][BLOCK];
};

inline float clipped(float x, float bound) { return std::min(std::max(x, -bound), bound); }

// Natural logarithm of a positive normal number, to two units in the last place: the mantissa is
// brought to [sqrt(1/2), sqrt(2)) and its series in (m - 1) / (m + 1) is summed.
inline float logarithm(float x) {
    int32_t bits;
    std::memcpy(&bits, &x, 4);
    const int32_t exponent = (bits - 0x3f3504f3) >> 23;
    bits -= exponent * (1 << 23);
    float mantissa;
    std::memcpy(&mantissa, &bits, 4);
    const float f = mantissa - 1.0f, s = f / (2.0f + f), z = s * s;
    const float series = z * (0.66666667f + z * (0.40000000f + z * (0.28571430f + z * 0.2222222f)));
    const float high = 0.693145752f * exponent, low = 1.42860677e-6f * exponent;
    return high + (f - (s * (f - series) - low));
}

// exp(x) for |x| below 80: 2 to an integer times a polynomial on half a unit about zero.
inline float exponential(float x) {
    const float count = std::floor(x * 1.44269504f + 0.5f);
    const float rest = (x - count * 0.693359375f) + count * 2.12194440e-4f;
    float sum = 1.9875691500e-4f;
    sum = sum * rest + 1.3981999507e-3f;
    sum = sum * rest + 8.3334519073e-3f;
    sum = sum * rest + 4.1665795894e-2f;
    sum = sum * rest + 1.6666665459e-1f;
    sum = sum * rest + 5.0000001201e-1f;
    sum = sum * rest * rest + rest + 1.0f;
    const int32_t bits = (static_cast<int32_t>(count) + 127) * (1 << 23);
    float power;
    std::memcpy(&power, &bits, 4);
    return sum * power;
}

inline void inputs(const float* grad, const float* value, const float* momenta,
                   const float* seconds, float limit, int64_t length, int64_t first, int count,
                   Rows& x) {
#pragma omp simd
    for (int i = 0; i < count; ++i) {
        const float w = value[first + i];
        x.at[0][i] = clipped(grad[first + i], limit);
        x.at[1][i] = w;
        x.at[2][i] = logarithm(std::abs(w) + EPSILON);
    }
    for (int k = 0; k < 5; ++k) {
        const float *m = momenta + k * length + first, *v = seconds + k * length + first;
#pragma omp simd
        for (int i = 0; i < count; ++i) {
            const float inverse = 1.0f / std::sqrt(v[i] + EPSILON);
            x.at[3 + k][i] = m[i] * inverse;
            x.at[8 + k][i] = inverse;
            x.at[13 + k][i] = m[i];
            x.at[18 + k][i] = v[i];
        }
    }
}

// weights (inputs, HIDDEN), then ReLU.
inline void layer(const float* weights, const float* bias, int inputs, const Rows& x, Rows& out) {
    for (int i = 0; i < BLOCK; i += LANES) {
        for (int u = 0; u < HIDDEN; u += GROUP) {
            vec total[GROUP];
            for (int j = 0; j < GROUP; ++j) total[j] = bias[u + j] - vec{};
            for (int k = 0; k < inputs; ++k) {
                const vec here = *reinterpret_cast<const vec*>(&x.at[k][i]);
                const float* weight = weights + k * HIDDEN + u;
#pragma GCC unroll 8
                for (int j = 0; j < GROUP; ++j) total[j] += weight[j] * here;
            }
            for (int j = 0; j < GROUP; ++j)
                *reinterpret_cast<vec*>(&out.at[u + j][i]) = total[j] < 0 ? vec{} : total[j];
        }
    }
}

}  // namespace

extern "C" {

// Moves the averages on by change (5), in place; sums and squares (23) over the tensor.
void moments(const float* grad, const float* value, float* momenta, float* seconds,
             const float* change, double* sums, double* squares, float limit, int64_t length) {
    Rows x;
    for (int64_t first = 0; first < length; first += BLOCK) {
        const int count = static_cast<int>(std::min<int64_t>(BLOCK, length - first));
        for (int k = 0; k < 5; ++k) {
            float *m = momenta + k * length + first, *v = seconds + k * length + first;
            const float part = change[k];
#pragma omp simd
            for (int i = 0; i < count; ++i) {
                const float g = clipped(grad[first + i], limit);
                m[i] += part * (g - m[i]);
                v[i] += part * (g * g - v[i]);
            }
        }
        inputs(grad, value, momenta, seconds, limit, length, first, count, x);
        for (int k = 0; k < INPUTS; ++k) {
            float sum = 0, square = 0;
#pragma omp simd reduction(+ : sum, square)
            for (int i = 0; i < count; ++i) {
                sum += x.at[k][i];
                square += x.at[k][i] * x.at[k][i];
            }
            sums[k] += sum;
            squares[k] += square;
        }
    }
}

// Adds rate times the step to value; total (HIDDEN) becomes the sum of the last hidden layer.
// first (23, HIDDEN) and shift have the normalisation and the shared inputs in them; last
// (HIDDEN, 2). nominal (2): minus the rate of Adam over the correction of its momentum, one over
// that of its second moment.
void apply(const float* grad, float* value, const float* momenta, const float* seconds,
           const float* first_layer, const float* shift, const float* second,
           const float* second_bias, const float* last, const float* last_bias,
           const float* nominal, double* total, float limit, float scale, float rate,
           int64_t length) {
    Rows x, hidden, middle;
    std::memset(&x, 0, sizeof x);
    for (int64_t first = 0; first < length; first += BLOCK) {
        const int count = static_cast<int>(std::min<int64_t>(BLOCK, length - first));
        inputs(grad, value, momenta, seconds, limit, length, first, count, x);
        layer(first_layer, shift, INPUTS, x, hidden);
        layer(second, second_bias, HIDDEN, hidden, middle);
        float d[BLOCK], a[BLOCK];
        std::fill_n(d, BLOCK, last_bias[0]);
        std::fill_n(a, BLOCK, last_bias[1]);
        for (int u = 0; u < HIDDEN; ++u) {
            float sum = 0;
#pragma omp simd reduction(+ : sum)
            for (int i = 0; i < count; ++i) {
                const float unit = middle.at[u][i];
                sum += unit;
                d[i] += last[2 * u] * unit;
                a[i] += last[2 * u + 1] * unit;
            }
            total[u] += sum;
        }
        const float *m = momenta + length + first, *v = seconds + 3 * length + first;
        float* to = value + first;
#pragma omp simd
        for (int i = 0; i < count; ++i) {
            const float size = exponential(scale * clipped(a[i], LARGEST_A));
            float step = -scale * clipped(d[i], LARGEST_D) * size;
            step += nominal[0] * m[i] / (std::sqrt(v[i] * nominal[1]) + 1e-8f);
            to[i] += rate * step;
        }
    }
}
}
