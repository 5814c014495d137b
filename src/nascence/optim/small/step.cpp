// The two passes of the small optimizer over one tensor of several networks.
//
// A tensor is worked on in blocks of consecutive parameters. What depends on rows and columns is
// spread over a block first, so that the loop over parameters is the same for any shape and
// everything between a parameter's inputs and its step stays in registers. HIDDEN, the units of a
// layer, is given to the compiler. Layouts, row-major:
// momenta (networks, 3, size); grad, value, second (networks, size); by_row and by_column
// (networks, hidden, .); down and across (networks, 3, .). Plain C++17 with OpenMP's simd.

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace {

constexpr int64_t BLOCK = 256;
constexpr float EPSILON = 1e-18f;
constexpr float LARGEST_GRADIENT = 1e15f;
constexpr float LARGEST_DIRECTION = 8.0f;

inline float clipped(float x, float bound) { return std::min(std::max(x, -bound), bound); }

// Calls work(row, column, offset, count) for each row's part of a block.
template <class Work>
inline void by_segments(int64_t first, int64_t count, int64_t columns, Work work) {
    int64_t row = first / columns, column = first % columns;
    for (int64_t done = 0; done < count; ++row, column = 0) {
        const int64_t part = std::min(columns - column, count - done);
        work(row, column, done, part);
        done += part;
    }
}

template <bool MATRIX>
void apply_one(const float* grad, float* value, const float* momenta, const float* second,
           const float* by_row, const float* down, const float* by_column, const float* across,
           const float* weights, const float* middle, const float* middle_bias,
           const float* outer, const float* outer_bias, float size, int64_t rows,
           int64_t columns) {
    constexpr int INPUTS = MATRIX ? 16 : 11;
    const int64_t length = rows * columns;
    alignas(64) float start[HIDDEN][BLOCK];
    alignas(64) float factor[3][BLOCK];
    float inner[INPUTS][HIDDEN];
    for (int u = 0; u < HIDDEN; ++u)
        for (int k = 0; k < INPUTS; ++k) inner[k][u] = weights[u * INPUTS + k];
    if (!MATRIX)
        for (int u = 0; u < HIDDEN; ++u) std::fill_n(start[u], BLOCK, by_row[u]);
    for (int64_t first = 0; first < length; first += BLOCK) {
        const int64_t count = std::min(BLOCK, length - first);
        if (MATRIX) {
            by_segments(first, count, columns, [&](int64_t r, int64_t c, int64_t at, int64_t n) {
                for (int u = 0; u < HIDDEN; ++u) {
                    const float here = by_row[u * rows + r];
                    const float* there = by_column + u * columns + c;
                    for (int64_t i = 0; i < n; ++i) start[u][at + i] = here + there[i];
                }
                for (int k = 0; k < 3; ++k) {
                    const float here = down[k * rows + r];
                    const float* there = across + k * columns + c;
                    for (int64_t i = 0; i < n; ++i) factor[k][at + i] = here * there[i];
                }
            });
        }
        const float *g0 = grad + first, *s0 = second + first;
        const float *m0 = momenta + first, *m1 = m0 + length, *m2 = m1 + length;
        float* v0 = value + first;
#pragma omp simd
        for (int64_t i = 0; i < count; ++i) {
            const float g = clipped(g0[i], LARGEST_GRADIENT);
            const float inverse = 1.0f / std::sqrt(s0[i] + EPSILON);
            const float m[3] = {m0[i], m1[i], m2[i]};
            float x[INPUTS];
            x[0] = g;
            x[1] = v0[i];
            x[2] = std::sqrt(s0[i]);
            x[3] = inverse;
#pragma GCC unroll 3
            for (int k = 0; k < 3; ++k) {
                x[4 + k] = m[k];
                x[7 + k] = m[k] * inverse;
                if constexpr (MATRIX) {
                    x[10 + k] = g * factor[k][i];
                    x[13 + k] = m[k] * factor[k][i];
                }
            }
            if constexpr (!MATRIX) x[10] = g * inverse;
            float hidden[HIDDEN];
#pragma GCC unroll 64
            for (int u = 0; u < HIDDEN; ++u) {
                float total = start[u][i];
#pragma GCC unroll 64
                for (int k = 0; k < INPUTS; ++k) total += inner[k][u] * x[k];
                hidden[u] = std::max(total, 0.0f);
            }
            float out[2] = {outer_bias[0], outer_bias[1]};
#pragma GCC unroll 64
            for (int u = 0; u < HIDDEN; ++u) {
                float total = middle_bias[u];
#pragma GCC unroll 64
                for (int k = 0; k < HIDDEN; ++k) total += middle[u * HIDDEN + k] * hidden[k];
                total = std::max(total, 0.0f);
                out[0] += outer[u] * total;
                out[1] += outer[HIDDEN + u] * total;
            }
            const float direction = m[0] * inverse * out[0] + out[1];
            v0[i] += size * clipped(direction, LARGEST_DIRECTION);
        }
    }
}

}  // namespace

extern "C" {

// Moves the averages on. change (networks, 4): of the momenta and of the second moment. Squared
// gradients summed over rows and columns, if these are wanted; sums (networks, 10) of squares:
// gradient, value, root, inverse, momenta, momenta over the root.
void moments(const float* grad, const float* value, float* momenta, float* second,
             const float* change, float* by_row, float* by_column, double* sums, int64_t networks,
             int64_t rows, int64_t columns) {
    const int64_t length = rows * columns;
    for (int64_t n = 0; n < networks; ++n) {
        const float *g0 = grad + n * length, *v0 = value + n * length;
        float *m0 = momenta + 3 * n * length, *s0 = second + n * length;
        const float c0 = change[4 * n], c1 = change[4 * n + 1], c2 = change[4 * n + 2];
        const float c3 = change[4 * n + 3];
        double* total = sums + 10 * n;
        alignas(64) float square[BLOCK];
        for (int64_t first = 0; first < length; first += BLOCK) {
            const int64_t count = std::min(BLOCK, length - first);
            float q0 = 0, q1 = 0, q2 = 0, q3 = 0, q4 = 0, q5 = 0, q6 = 0, q7 = 0, q8 = 0, q9 = 0;
#pragma omp simd reduction(+ : q0, q1, q2, q3, q4, q5, q6, q7, q8, q9)
            for (int64_t i = 0; i < count; ++i) {
                const int64_t at = first + i;
                const float g = clipped(g0[at], LARGEST_GRADIENT), v = v0[at];
                const float a = m0[at] + c0 * (g - m0[at]);
                const float b = m0[at + length] + c1 * (g - m0[at + length]);
                const float c = m0[at + 2 * length] + c2 * (g - m0[at + 2 * length]);
                const float gg = g * g, s = s0[at] + c3 * (gg - s0[at]);
                const float inverse = 1.0f / (s + EPSILON);
                m0[at] = a;
                m0[at + length] = b;
                m0[at + 2 * length] = c;
                s0[at] = s;
                square[i] = gg;
                q0 += gg, q1 += v * v, q2 += s, q3 += inverse;
                q4 += a * a, q5 += b * b, q6 += c * c;
                q7 += a * a * inverse, q8 += b * b * inverse, q9 += c * c * inverse;
            }
            const float found[10] = {q0, q1, q2, q3, q4, q5, q6, q7, q8, q9};
            for (int k = 0; k < 10; ++k) total[k] += found[k];
            if (by_row == nullptr) continue;
            by_segments(first, count, columns, [&](int64_t r, int64_t c, int64_t at, int64_t m) {
                float sum = 0;
                float* across = by_column + n * columns + c;
#pragma omp simd reduction(+ : sum)
                for (int64_t i = 0; i < m; ++i) {
                    sum += square[at + i];
                    across[i] += square[at + i];
                }
                by_row[n * rows + r] += sum;
            });
        }
    }
}

// Adds the step to value. Without down and across the factored moments are the second moment
// itself, by_row is (networks, hidden, 1), and there are 11 weights for a unit instead of 16.
void apply(const float* grad, float* value, const float* momenta, const float* second,
           const float* by_row, const float* down, const float* by_column, const float* across,
           const float* weights, const float* middle, const float* middle_bias,
           const float* outer, const float* outer_bias, const float* size, int64_t networks,
           int64_t rows, int64_t columns) {
    const int64_t length = rows * columns;
    const bool matrix = down != nullptr;
    for (int64_t n = 0; n < networks; ++n) {
        const auto call = [&](auto one, int64_t inputs, int64_t height) {
            one(grad + n * length, value + n * length, momenta + 3 * n * length,
                second + n * length, by_row + n * HIDDEN * height,
                matrix ? down + 3 * n * rows : nullptr,
                matrix ? by_column + n * HIDDEN * columns : nullptr,
                matrix ? across + 3 * n * columns : nullptr,
                weights + n * HIDDEN * inputs, middle + n * HIDDEN * HIDDEN,
                middle_bias + n * HIDDEN, outer + 2 * n * HIDDEN, outer_bias + 2 * n, size[n],
                rows, columns);
        };
        if (matrix)
            call(apply_one<true>, 16, rows);
        else
            call(apply_one<false>, 11, 1);
    }
}
}
