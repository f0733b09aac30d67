// The stage in float64 with plain loops: what the fast one is held against. Every step is written
// out from the formulas in stage_model.hpp and shares nothing with stage_compute.cpp.
#include <cmath>

#include "stagecraft/core/check.hpp"
#include "stagecraft/execute/stage_compute.hpp"

namespace stagecraft {
namespace {

/// A dense row-major matrix.
struct Dense {
  std::size_t rows = 0, columns = 0;
  std::vector<double> values;

  Dense(std::size_t r, std::size_t c) : rows(r), columns(c), values(r * c, 0.0) {}
  [[nodiscard]] double& operator()(std::size_t r, std::size_t c) { return values[r * columns + c]; }
  [[nodiscard]] double operator()(std::size_t r, std::size_t c) const {
    return values[r * columns + c];
  }
};

Dense product(const Dense& a, const Dense& b) {
  Dense c(a.rows, b.columns);
  for (std::size_t i = 0; i < a.rows; ++i) {
    for (std::size_t k = 0; k < a.columns; ++k) {
      for (std::size_t j = 0; j < b.columns; ++j) {
        c(i, j) += a(i, k) * b(k, j);
      }
    }
  }
  return c;
}

Dense transposed(const Dense& a) {
  Dense t(a.columns, a.rows);
  for (std::size_t i = 0; i < a.rows; ++i) {
    for (std::size_t j = 0; j < a.columns; ++j) {
      t(j, i) = a(i, j);
    }
  }
  return t;
}

Dense sum(const Dense& a, const Dense& b) {
  Dense c = a;
  for (std::size_t i = 0; i < c.values.size(); ++i) {
    c.values[i] += b.values[i];
  }
  return c;
}

struct LayerWeights {
  Dense qkv, o, up, down, gain1, gain2;
};

LayerWeights zero_weights(std::size_t hidden, std::size_t ffn) {
  return {Dense(hidden, 3 * hidden), Dense(hidden, hidden), Dense(hidden, ffn),
          Dense(ffn, hidden),        Dense(1, hidden),      Dense(1, hidden)};
}

/// Calls visit(matrix) in the order in which parameters are stored.
template <typename Weights, typename Visit>
void for_each_matrix(Weights& w, Visit&& visit) {
  visit(w.qkv);
  visit(w.o);
  visit(w.up);
  visit(w.down);
  visit(w.gain1);
  visit(w.gain2);
}

double inverse_norm(const Dense& x, std::size_t row) {
  double squares = 0.0;
  for (std::size_t i = 0; i < x.columns; ++i) {
    squares += x(row, i) * x(row, i);
  }
  return 1.0 / std::sqrt(squares / static_cast<double>(x.columns) + 1e-5);
}

Dense normalize(const Dense& x, const Dense& gain) {
  Dense y = x;
  for (std::size_t r = 0; r < x.rows; ++r) {
    const double inverse = inverse_norm(x, r);
    for (std::size_t i = 0; i < x.columns; ++i) {
      y(r, i) = x(r, i) * inverse * gain(0, i);
    }
  }
  return y;
}

/// Gradient of x; adds that of the gain. From y_i = g_i x_i / n with n = sqrt(mean(x^2) + e):
/// dL/dx_j = g_j dy_j / n - x_j / (W n^3) sum_i(g_i x_i dy_i).
Dense normalize_backward(const Dense& dy, const Dense& x, const Dense& gain, Dense& gain_gradient) {
  Dense dx(x.rows, x.columns);
  for (std::size_t r = 0; r < x.rows; ++r) {
    const double inverse = inverse_norm(x, r);
    double dot = 0.0;
    for (std::size_t i = 0; i < x.columns; ++i) {
      dot += gain(0, i) * x(r, i) * dy(r, i);
      gain_gradient(0, i) += x(r, i) * inverse * dy(r, i);
    }
    const double back = dot * inverse * inverse * inverse / static_cast<double>(x.columns);
    for (std::size_t i = 0; i < x.columns; ++i) {
      dx(r, i) = gain(0, i) * dy(r, i) * inverse - x(r, i) * back;
    }
  }
  return dx;
}

/// Probabilities of one head: p(t, u) for u <= t.
Dense head_probabilities(const Dense& qkv, std::size_t head, std::size_t width) {
  const std::size_t hidden = qkv.columns / 3;
  const std::size_t query = head * width;
  const std::size_t key = hidden + query;
  Dense p(qkv.rows, qkv.rows);
  for (std::size_t t = 0; t < qkv.rows; ++t) {
    double total = 0.0;
    for (std::size_t u = 0; u <= t; ++u) {
      double score = 0.0;
      for (std::size_t i = 0; i < width; ++i) {
        score += qkv(t, query + i) * qkv(u, key + i);
      }
      p(t, u) = std::exp(score / std::sqrt(static_cast<double>(width)));
      total += p(t, u);
    }
    for (std::size_t u = 0; u <= t; ++u) {
      p(t, u) /= total;
    }
  }
  return p;
}

Dense attend(const Dense& qkv, std::size_t heads) {
  const std::size_t hidden = qkv.columns / 3;
  const std::size_t width = hidden / heads;
  Dense o(qkv.rows, hidden);
  for (std::size_t head = 0; head < heads; ++head) {
    const Dense p = head_probabilities(qkv, head, width);
    for (std::size_t t = 0; t < qkv.rows; ++t) {
      for (std::size_t u = 0; u <= t; ++u) {
        for (std::size_t i = 0; i < width; ++i) {
          o(t, head * width + i) += p(t, u) * qkv(u, 2 * hidden + head * width + i);
        }
      }
    }
  }
  return o;
}

Dense attend_backward(const Dense& d_o, const Dense& qkv, std::size_t heads) {
  const std::size_t hidden = qkv.columns / 3;
  const std::size_t width = hidden / heads;
  const double scale = 1.0 / std::sqrt(static_cast<double>(width));
  Dense dqkv(qkv.rows, 3 * hidden);
  for (std::size_t head = 0; head < heads; ++head) {
    const std::size_t query = head * width;
    const std::size_t key = hidden + query;
    const std::size_t value = 2 * hidden + query;
    const Dense p = head_probabilities(qkv, head, width);
    for (std::size_t t = 0; t < qkv.rows; ++t) {
      std::vector<double> dp(t + 1, 0.0);
      double dot = 0.0;
      for (std::size_t u = 0; u <= t; ++u) {
        for (std::size_t i = 0; i < width; ++i) {
          dp[u] += d_o(t, query + i) * qkv(u, value + i);
          dqkv(u, value + i) += p(t, u) * d_o(t, query + i);
        }
        dot += p(t, u) * dp[u];
      }
      for (std::size_t u = 0; u <= t; ++u) {
        const double ds = p(t, u) * (dp[u] - dot) * scale;
        for (std::size_t i = 0; i < width; ++i) {
          dqkv(t, query + i) += ds * qkv(u, key + i);
          dqkv(u, key + i) += ds * qkv(t, query + i);
        }
      }
    }
  }
  return dqkv;
}

double gelu(double x) {
  return 0.5 * x * (1.0 + std::tanh(std::sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x)));
}

double gelu_slope(double x) {
  const double t = std::tanh(std::sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x));
  const double inner = std::sqrt(2.0 / M_PI) * (1.0 + 3.0 * 0.044715 * x * x);
  return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * inner;
}

/// What a layer keeps for its backward.
struct LayerState {
  Dense x, n1, qkv, o, x1, n2, h, a;
};

LayerState layer_forward(const Dense& x, const LayerWeights& w, std::size_t heads, Dense& y) {
  const Dense n1 = normalize(x, w.gain1);
  const Dense qkv = product(n1, w.qkv);
  const Dense o = attend(qkv, heads);
  const Dense x1 = sum(x, product(o, w.o));
  const Dense n2 = normalize(x1, w.gain2);
  const Dense h = product(n2, w.up);
  Dense a = h;
  for (double& value : a.values) {
    value = gelu(value);
  }
  y = sum(x1, product(a, w.down));
  return {x, n1, qkv, o, x1, n2, h, a};
}

Dense layer_backward(const Dense& dy, const LayerState& s, const LayerWeights& w, std::size_t heads,
                     LayerWeights& gradients) {
  gradients.down = product(transposed(s.a), dy);
  Dense dh = product(dy, transposed(w.down));
  for (std::size_t i = 0; i < dh.values.size(); ++i) {
    dh.values[i] *= gelu_slope(s.h.values[i]);
  }
  gradients.up = product(transposed(s.n2), dh);
  const Dense dx1 =
      sum(dy, normalize_backward(product(dh, transposed(w.up)), s.x1, w.gain2, gradients.gain2));
  gradients.o = product(transposed(s.o), dx1);
  const Dense dqkv = attend_backward(product(dx1, transposed(w.o)), s.qkv, heads);
  gradients.qkv = product(transposed(s.n1), dqkv);
  return sum(dx1,
             normalize_backward(product(dqkv, transposed(w.qkv)), s.x, w.gain1, gradients.gain1));
}

}  // namespace

ReferenceResult reference_stage(const StageModel& model, std::int32_t stage,
                                std::span<const double> weights, std::span<const double> input,
                                std::span<const double> output_gradient) {
  const auto hidden = static_cast<std::size_t>(model.hidden);
  const auto heads = static_cast<std::size_t>(model.heads);
  const auto ffn = static_cast<std::size_t>(model.ffn[static_cast<std::size_t>(stage)]);
  const auto layers = static_cast<std::size_t>(model.layers[static_cast<std::size_t>(stage)]);
  STAGECRAFT_CHECK(input.size() % hidden == 0 && input.size() == output_gradient.size(),
                   "whole tokens, forward and backward");
  std::vector<LayerWeights> all(layers, zero_weights(hidden, ffn));
  std::size_t read = 0;
  for (LayerWeights& layer : all) {
    for_each_matrix(layer, [&](Dense& matrix) {
      for (double& value : matrix.values) {
        value = weights[read++];
      }
    });
  }
  STAGECRAFT_CHECK(read == weights.size(), "all weights of the stage");
  Dense y(input.size() / hidden, hidden);
  y.values.assign(input.begin(), input.end());
  std::vector<LayerState> states;
  for (const LayerWeights& layer : all) {
    const Dense x = y;
    states.push_back(layer_forward(x, layer, heads, y));
  }
  ReferenceResult result;
  result.output = y.values;
  Dense dy(y.rows, hidden);
  dy.values.assign(output_gradient.begin(), output_gradient.end());
  std::vector<LayerWeights> gradients(layers, zero_weights(hidden, ffn));
  for (std::size_t l = layers; l-- > 0;) {
    dy = layer_backward(dy, states[l], all[l], heads, gradients[l]);
  }
  result.input_gradient = dy.values;
  for (const LayerWeights& layer : gradients) {
    for_each_matrix(layer, [&](const Dense& matrix) {
      result.weight_gradients.insert(result.weight_gradients.end(), matrix.values.begin(),
                                     matrix.values.end());
    });
  }
  return result;
}

}  // namespace stagecraft
