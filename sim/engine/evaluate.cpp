#include "stagecraft/engine/evaluate.hpp"
