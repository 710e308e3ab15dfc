// SPDX-License-Identifier: Apache-2.0
// Lesson 1: the first run, and a training program of your own.
//
// A preset is everything that a paper fixes about a run: the recipe (encoder, projector, loss …), the views, optimizer,
// learning rate, epochs and batch size. methods::simclr(encoder, options) returns SimCLR's. Its options start from the
// values for photographs (SimclrOptions{}) or from those for small images and short runs (simclr_small).
//
// cli::train() makes a program of that: it reads the command line, opens the images, trains, evaluates with k-NN and
// writes a report. Each field of the options is a --name; --help lists them with defaults and ranges.
//
//     ./run example 01                                           the embedded images, which need no files
//     ./run example 01 --data photos --size 128 --epochs 100     your images, in class folders or in one folder
//     ./run example 01 --help
//
// A run leaves config.json, metrics.jsonl, checkpoints/, encoder.safetensors and report.html in its folder. An
// interrupted run continues, bit for bit on the CPU, with --resume FOLDER.
//
// Next: replace simclr by another method of doppel/methods/, or read train.cpp, which has all of them (./run train).
#include <doppel/cli/program.hpp>
#include <doppel/methods/simclr.hpp>

int main(int argc, char** argv) {
    using namespace doppel;
    const auto method = methods::method_entry(
        {.name = "simclr",
         .title = "SimCLR",
         .text = "Two views of an image must find each other among all views of the batch.",
         .paper = "arXiv:2002.05709"},
        methods::SimclrOptions{}, methods::simclr_small,
        [](auto encoder, const methods::SimclrOptions& options) { return methods::simclr(encoder, options); });
    return cli::train(argc, argv, method);
}
