#include "stagecraft/scenario/scenario.hpp"
