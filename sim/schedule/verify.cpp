#include "stagecraft/schedule/verify.hpp"
