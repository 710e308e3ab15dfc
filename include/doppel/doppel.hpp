// SPDX-License-Identifier: Apache-2.0
// Methods, data, views and training. Evaluation (doppel/eval.hpp) and the command line (doppel/cli.hpp) stand apart,
// because each costs every user compile time.
#pragma once

#include <doppel/augment/paper_views.hpp>
#include <doppel/augment/views.hpp>
#include <doppel/core/version.hpp>
#include <doppel/data/cifar.hpp>
#include <doppel/data/embedded.hpp>
#include <doppel/data/idx.hpp>
#include <doppel/data/image_folder.hpp>
#include <doppel/data/loader.hpp>
#include <doppel/data/memory.hpp>
#include <doppel/data/open.hpp>
#include <doppel/encoders/any.hpp>
#include <doppel/encoders/resnet.hpp>
#include <doppel/encoders/vit.hpp>
#include <doppel/heads/mlp.hpp>
#include <doppel/losses/cosine.hpp>
#include <doppel/losses/info_nce.hpp>
#include <doppel/losses/instance.hpp>
#include <doppel/losses/nt_xent.hpp>
#include <doppel/methods/any_method.hpp>
#include <doppel/methods/byol.hpp>
#include <doppel/methods/inst_disc.hpp>
#include <doppel/methods/method.hpp>
#include <doppel/methods/moco.hpp>
#include <doppel/methods/moco_v3.hpp>
#include <doppel/methods/preset.hpp>
#include <doppel/methods/sim_clr.hpp>
#include <doppel/methods/sim_siam.hpp>
#include <doppel/momentum/target.hpp>
#include <doppel/optim/adamw.hpp>
#include <doppel/optim/clip.hpp>
#include <doppel/optim/freeze.hpp>
#include <doppel/optim/lars.hpp>
#include <doppel/optim/sgd.hpp>
#include <doppel/queues/bank.hpp>
#include <doppel/queues/fifo.hpp>
#include <doppel/queues/support_set.hpp>
#include <doppel/schedules/schedule.hpp>
#include <doppel/train/trainer.hpp>
