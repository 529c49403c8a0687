"""The training loop: one for every network and objective."""

import math
import resource
import sys
import time
from collections import defaultdict
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import nn

from twinrank.config import Monitor, TrainConfig
from twinrank.data.batches import Batches
from twinrank.data.pairs import PairData
from twinrank.errors import InputError, Interrupted
from twinrank.evaluation import metrics
from twinrank.evaluation.predict import predict_logits
from twinrank.models.siamese import SiameseNet
from twinrank.models.weights import save_weights
from twinrank.randomness import seed_torch
from twinrank.runs import RunFolder
from twinrank.training.checkpoint import load_checkpoint, save_checkpoint
from twinrank.training.objectives import create_objective
from twinrank.training.progress import EpochProgress
from twinrank.training.schedule import learning_rate_factor

_LOWER_IS_BETTER = {"log_loss"}


@dataclass(frozen=True)
class TrainState:
    """How far a training is; kept in its checkpoint.

    Attributes:
        epoch: the last one that has ended; 0 before the first.
        best_epoch: the one whose weights are kept.
        best_value: its value of the monitored metric.
    """

    epoch: int = 0
    best_epoch: int = 0
    best_value: float | None = None

    def after(self, value: float, monitor: Monitor) -> "TrainState":
        """The state after one more epoch."""
        sign = -1 if monitor in _LOWER_IS_BETTER else 1
        if self.best_value is None or sign * value > sign * self.best_value:
            return TrainState(self.epoch + 1, self.epoch + 1, value)
        return replace(self, epoch=self.epoch + 1)

    def finished(self, config: TrainConfig) -> bool:
        """Whether nothing is left to train."""
        return self.epoch >= config.epochs or self.stopped_early(config)

    def stopped_early(self, config: TrainConfig) -> bool:
        """Whether the patience is over."""
        return config.patience is not None and self.epoch - self.best_epoch >= config.patience


def fit(
    run: RunFolder,
    model: SiameseNet,
    description: dict[str, Any],
    train: PairData,
    val: PairData,
    config: TrainConfig,
    progress: EpochProgress,
) -> None:
    """Train a network, from the run's checkpoint if there is one; leave history, checkpoint and the best weights.

    After each epoch the history is written, then the weights if ``config.monitor`` is at its best, then the checkpoint,
    each in one step. So a run that is killed anywhere goes on from its last checkpoint and writes the same bytes again.

    Args:
        run: folder with its configuration.
        model: with its weights as they are before the first epoch, on the device to use.
        description: stored with the weights, see :func:`twinrank.models.weights.save_weights`.
        train: labelled pairs, fitted.
        val: labelled pairs, which choose the best epoch and stop early.
        config: of the training.
        progress: shows it.

    Raises:
        InputError: the loss is not finite, or a file cannot be written.
        Interrupted: stopped by Ctrl-C.
    """
    device = next(model.parameters()).device
    objective = create_objective(config, model).to(device)
    optimizer = _adamw(model, config)
    batches = Batches(train, config, device)
    modules = {"model": model, "objective": objective}
    state, history = TrainState(), []
    if run.checkpoint.is_file():
        state = TrainState(**load_checkpoint(run.checkpoint, modules, optimizer))
        history = run.read_history()[: state.epoch]
        progress.say(f"{run.path}: {state.epoch} of {config.epochs} epochs are done")
    try:
        while not state.finished(config):
            record = _train_epoch(state.epoch + 1, model, objective, optimizer, batches, config, progress)
            record["val"] = _validate(model, val)
            state = state.after(record["val"][config.monitor], config.monitor)
            history.append(record)
            run.write_history(history)
            if state.best_epoch == state.epoch:
                save_weights(run.weights, model, description)
            save_checkpoint(run.checkpoint, modules, optimizer, asdict(state))
            progress.epoch_ended(record, best=state.best_epoch == state.epoch)
    except KeyboardInterrupt as error:
        raise Interrupted(
            f"stopped in epoch {state.epoch + 1} of {config.epochs}; what came before is kept."
            f" Go on with: twinrank resume {run.path}"
        ) from error
    if state.stopped_early(config):
        progress.say(f"stopped early: {config.patience} epochs without a better {config.monitor}")
    progress.say(f"{run.weights}: weights of epoch {state.best_epoch}, {config.monitor} {state.best_value:.4f}")


def _adamw(model: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101) that decays kernels and matrices of layers only."""
    kernels = {id(layer.weight) for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)}
    decayed, others = [], []
    for parameter in model.parameters():
        (decayed if id(parameter) in kernels else others).append(parameter)
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.lr, betas=(config.beta1, config.beta2), fused=True)


def _train_epoch(
    epoch: int,
    model: SiameseNet,
    objective: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Batches,
    config: TrainConfig,
    progress: EpochProgress,
) -> dict[str, Any]:
    seed_torch(config.seed, "epoch", epoch)
    model.train()
    started, sums = time.perf_counter(), defaultdict(float)
    learning_rate = 0.0
    for step, (xa, xb, y) in enumerate(progress.steps(epoch, batches.epoch(epoch), batches.steps)):
        done = (epoch - 1 + (step + 1) / batches.steps) / config.epochs
        learning_rate = config.lr * learning_rate_factor(config.schedule, config.warmup, done)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        loss = objective(model, xa, xb, y)
        loss.total.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        measured = {"loss": loss.total, **loss.terms, "grad_norm": norm}
        for name, value in measured.items():
            sums[name] += value.item()
        if not math.isfinite(sums["loss"] + sums["grad_norm"]):
            raise InputError(
                f"the loss or its gradient is not finite in step {step + 1} of epoch {epoch}, at learning rate"
                f" {learning_rate:.2e}; try a lower --lr, a longer --warmup, or --precision float32"
            )
        optimizer.step()
        optimizer.zero_grad()
    seconds = time.perf_counter() - started
    return {
        "epoch": epoch,
        "seconds": round(seconds, 3),
        "learning_rate": learning_rate,
        "train": {name: total / batches.steps for name, total in sums.items()},
        "images_per_second": round(2 * batches.steps * batches.size / seconds, 1),
        "memory_mb": round(peak_memory() / 1e6, 1),
    }


def _validate(model: SiameseNet, val: PairData) -> dict[str, float]:
    model.eval()
    logit, y = predict_logits(model, val), val.y
    assert y is not None
    return {
        "accuracy": metrics.accuracy(y, logit),
        "f1": metrics.macro_f1(y, logit),
        "log_loss": metrics.log_loss(y, logit),
    }


def peak_memory() -> int:
    """Largest resident size of this process so far, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
