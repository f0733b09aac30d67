// Every schedule of the field: one file each in this folder, one line each here and in
// registry.cpp, in the order of DESIGN 4.2. Blank lines separate families.
#pragma once

#include "stagecraft/generators/generator.hpp"

namespace stagecraft {

const GeneratorInfo& gpipe_info();
const GeneratorInfo& one_f_one_b_info();
const GeneratorInfo& eager_1f1b_info();
const GeneratorInfo& interleaved_info();
const GeneratorInfo& looped_bfs_info();

const GeneratorInfo& seq1f1b_info();
const GeneratorInfo& group_interleaved_info();
const GeneratorInfo& pipeoffload_info();
const GeneratorInfo& chimera_info();
const GeneratorInfo& hanayo_info();
const GeneratorInfo& terapipe_info();

const GeneratorInfo& interleaved_zb_info();
const GeneratorInfo& zb_h1_info();
const GeneratorInfo& zb_h2_info();
const GeneratorInfo& zb_auto_info();

const GeneratorInfo& zbv_info();
const GeneratorInfo& v_half_info();
const GeneratorInfo& v_min_info();
const GeneratorInfo& v_flex_info();
const GeneratorInfo& v_1f1b_info();
const GeneratorInfo& dualpipe_info();
const GeneratorInfo& dualpipev_info();

const GeneratorInfo& greedy_info();
const GeneratorInfo& elastic_info();

const GeneratorInfo& file_info();

}  // namespace stagecraft
