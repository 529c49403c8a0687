"""The training loop: one for every network and objective.

One step, from pairs to new weights:

1. ``batches.epoch`` gives a batch: images, the pairs among them, labels, and what a teacher predicts of the pairs.
   Curriculum and augmentation have done their part. Hooks may show it, and change nothing.
2. The objective runs the network on the images and weighs its losses into one number. It also gives each loss
   by name, for the history.
3. ``Step.backward`` adds the gradient of that number to the gradients of the weights. With ``accumulate`` above 1, a
   step waits here until so many batches have come.
4. The schedule gives the share of the learning rate that counts now. It depends on how much of the run is over, and on
   the values of the epochs so far.
5. ``Step.update`` clips the gradients, lets the optimiser change the weights, and clears the gradients. Then the
   running mean of the weights moves, if there is one.
6. ``StepSums`` adds the losses up. A loss or a gradient that is not finite ends the training, before anything is kept.

On a GPU nothing of this waits for the device, and steps 2, 3, 5 and 6 are replayed as one CUDA graph
(:mod:`twinrank.training.replay`).

After the last step of an epoch, the network predicts the validation pairs, and history, best weights and checkpoint are
written, in this order.
"""

import time
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from twinrank.benchmark.fresh import FreshBatches
from twinrank.config import TrainConfig
from twinrank.core.steps import peak_memory
from twinrank.core.torch_random import seed_torch
from twinrank.data.batches import Batch, Batches
from twinrank.data.judgements import Judgements
from twinrank.errors import Diverged, InputError, Interrupted, differences
from twinrank.evaluation import metrics
from twinrank.inference.predict import predict_logits
from twinrank.models.siamese import SiameseNet
from twinrank.models.weights import save_weights
from twinrank.runs import RunFolder
from twinrank.training.checkpoint import load_checkpoint, save_checkpoint
from twinrank.training.hooks import Hooks
from twinrank.training.muon import Muon
from twinrank.training.objectives import Objective
from twinrank.training.ranks import ALONE, RankLost, Ranks
from twinrank.training.replay import Replayed, recordable
from twinrank.training.resumption import EARLIER_EPOCHS
from twinrank.training.schedule import beta1_at, learning_rate_factor
from twinrank.training.state import TrainState
from twinrank.training.sums import StepSums


class Training:
    """A network with all that its training changes: objective, running mean, optimiser, state and history.

    Args:
        run: Run folder with its configuration.
        model: Network with its weights as they are before the first epoch, on the device to use.
        description: Description stored with the weights, see :func:`twinrank.models.weights.save_weights`.
        batches: Labelled pairs that are fitted.
        val: Labelled pairs that choose the best epoch and stop early.
        config: Training values.
        hooks: Calls to the outside; what a hook raises ends the training.
        ranks: Processes that train together. All of them take the same steps, and the first one writes.
    """

    def __init__(
        self,
        run: RunFolder,
        model: SiameseNet,
        description: dict[str, Any],
        batches: Batches | FreshBatches,
        val: Judgements,
        config: TrainConfig,
        hooks: Hooks,
        ranks: Ranks = ALONE,
    ) -> None:
        self._ranks = ranks
        self._run, self._model, self._description = run, model, description
        self._batches, self._val, self._config, self._hooks = batches, val, config, hooks
        seed_torch(config.seed, "objective")
        device = next(model.parameters()).device
        self._objective = Objective(config, model, batches.targets, ranks).to(device)
        self._mean = _running_mean(model, config)
        self._step = Step(nn.ModuleDict({"model": model, "objective": self._objective}), config)
        self._sums = StepSums(device)
        can_replay = recordable(model, self._objective, config) and not ranks.several
        self._replayed = Replayed(self._fit_batch, hooks.say) if can_replay else None
        self._kept: dict[str, nn.Module] = {"model": model, "objective": self._objective}
        if self._mean is not None:
            self._kept["mean"] = self._mean
        self._requested = run.fingerprint()
        self._place = _place(run)
        self._history: list[dict[str, Any]] = []
        self._state = TrainState()

    def fit(self) -> None:
        """Train from the run's checkpoint if there is one; leave history, checkpoint and the best weights.

        After each epoch the history is written, then the weights if ``config.monitor`` is at its best, then the
        checkpoint, each in one step. So a run that is killed anywhere goes on from its last checkpoint and writes the
        same bytes again.

        Raises:
            Diverged: The loss is not finite.
            InputError: The configuration is not that of the checkpoint, a file cannot be written, or the folder is
                gone.
            Interrupted: Ctrl-C stopped the training.
        """
        with self._ranks.agreed():
            self._restore()
        run, config, say = self._run, self._config, self._hooks.say
        try:
            self._ranks.require_alike(
                (self._requested, self._state),
                f"{run.path}: is not the same folder for all processes; start them where they share one",
            )
            while not self._state.finished(config):
                self._run_epoch()
        except (KeyboardInterrupt, RankLost) as error:
            why = f"{error}, so this one has " if isinstance(error, RankLost) else ""
            kept = "; what came before is kept" if self._state.epoch else ""
            raise Interrupted(
                f"{why}stopped in epoch {self._state.epoch + 1} of {config.epochs}{kept}."
                f" Go on with: twinrank resume {run.path}"
            ) from error
        if self._state.stopped_early(config):
            say(f"stopped early: {config.patience} epochs without a better {config.monitor}")
        best = self._state.best_epoch(config)
        say(f"{run.weights}: weights of epoch {best}, {config.monitor} {self._state.values[best - 1]:.4f}")

    def _restore(self) -> None:
        """Go on from the checkpoint, if there is one."""
        run = self._run
        if run.checkpoint.is_file():
            found = load_checkpoint(run.checkpoint, self._kept, self._step.optimizer)
            self._step.scaler.load_state_dict(found["scaler"])
            self._state = TrainState(tuple(found["values"]))
            _refuse_other_configuration(run, found.get("asked", self._requested), self._requested)
            self._history = run.read_history()[: self._state.epoch]
            if len(self._history) < self._state.epoch:
                raise InputError(
                    f"{run.history}: has {len(self._history)} of the {self._state.epoch} epochs that are done;"
                    " restore it"
                )
            self._hooks.say(f"{run.path}: {self._state.epoch} of {self._config.epochs} epochs are done")
        elif len(run.read_history()) > 1:
            raise InputError(f"{run.checkpoint}: is missing; restore it, or train again into another folder")

    def _run_epoch(self) -> None:
        """Train an epoch, validate, and keep all of it."""
        config = self._config
        evaluated: SiameseNet = self._model if self._mean is None else self._mean.module  # pyright: ignore[reportAssignmentType]
        self._hooks.epoch_started(self._state.epoch + 1)
        self._ranks.send_out(self._kept.values())
        entry = self._train_epoch()
        judging = self._objective.judging
        nu = 0.0 if judging is None else judging.nu
        entry["val"] = self._ranks.from_first(_validate(evaluated, self._val, nu, self._ranks))
        self._state = TrainState((*self._state.values, entry["val"][config.monitor]))
        best = self._state.best_epoch(config) == self._state.epoch
        self._history.append(entry)
        with self._ranks.agreed():
            if self._ranks.first:
                self._keep(evaluated, best)
        self._hooks.epoch_ended(entry, best)

    def _keep(self, evaluated: SiameseNet, best: bool) -> None:
        """Write history, weights if they are the best, and checkpoint."""
        run = self._run
        self._require_place()
        run.write_history(self._history)
        if best:
            save_weights(run.weights, evaluated, self._description)
        self._require_place()
        marks = {
            "values": self._state.values,
            "scaler": self._step.scaler.state_dict(),
            "asked": self._requested,
        }
        save_checkpoint(run.checkpoint, self._kept, self._step.optimizer, marks)

    def _train_epoch(self) -> dict[str, Any]:
        """Train an epoch; gives its entry without validation."""
        config, batches = self._config, self._batches
        epoch = self._state.epoch + 1
        seed_torch(config.seed, "epoch", epoch)
        self._model.train()
        started, images, learning_rate, steps = time.perf_counter(), 0, 0.0, batches.steps(epoch)
        self._sums.begin()
        for number, batch in enumerate(self._hooks.steps(epoch, batches.epoch(epoch), steps), start=1):
            images += self._ranks.begin_batch(len(batch.images))
            # The epoch's last step may be of fewer batches.
            first = (number - 1) // config.accumulate * config.accumulate
            ends = number % config.accumulate == 0 or number == steps
            if ends:
                done = (epoch - 1 + number / steps) / config.epochs
                learning_rate = self._learning_rate(done)
                self._step.pace(learning_rate, beta1_at(config, done))
            if self._replayed is None:
                self._fit_batch(batch, min(config.accumulate, steps - first), ends)
            else:
                self._replayed(batch)
            if ends and self._mean is not None:
                self._mean.update_parameters(self._model)
            if (wrong := self._sums.first_not_finite(number, number == steps)) is not None:
                raise self._ranks.found_by_all(self._diverged(wrong, steps))
        sums = self._sums.read()
        self._objective.end_epoch()
        seconds = time.perf_counter() - started
        norm_mean = {"grad_norm": sums.pop("grad_norm") / max(1, sums.pop("updates"))}
        return {
            "epoch": epoch,
            "seconds": round(seconds, 3),
            "learning_rate": learning_rate,
            "train": {name: total / steps for name, total in sums.items()} | norm_mean,
            "images_per_second": round(images / seconds, 1),
            "memory_mb": round(peak_memory() / 1e6, 1),
        }

    def _diverged(self, step: int, steps: int) -> Diverged:
        config, epoch = self._config, self._state.epoch + 1
        return Diverged(
            f"the loss or its gradient is not finite in step {step} of epoch {epoch}, at learning rate"
            f" {self._learning_rate((epoch - 1 + step / steps) / config.epochs):.2e}; try a lower `lr`, a"
            " longer `warmup`, or `precision` float32"
        )

    def _learning_rate(self, done: float) -> float:
        """Learning rate at the end of a step, where this share of the run is over."""
        config = self._config
        return config.lr * learning_rate_factor(config, done, config.scores(self._state.values))

    def _fit_batch(self, batch: Batch, batches: int = 1, ends: bool = True) -> None:
        """Fit a batch, which is one of so many of a step; the last one ends the step and changes the weights."""
        step = self._step
        loss = self._objective(self._model, batch)
        step.backward(loss.total, batches)
        norm = torch.zeros_like(loss.total)
        updates = torch.zeros_like(loss.total)
        if ends:
            self._ranks.add_up_gradients(self._model.tower)
            norm, updates = step.update(), updates + 1
            if step.scaler.is_enabled():
                # In float16 a step whose scaled gradient overflowed is left out, and the scale is lowered.
                norm, updates = torch.where(norm.isfinite(), norm, 0), norm.isfinite().float()
        self._sums.add({"loss": loss.total.detach(), **loss.terms, "grad_norm": norm, "updates": updates})

    def _require_place(self) -> None:
        """A folder that was removed is not made again: without its configuration nothing in it could be used."""
        if self._place is None or _place(self._run) != self._place:
            raise InputError(
                f"{self._run.path}: has been removed or moved during training; train again, or move it back and resume"
            )


def _place(run: RunFolder) -> tuple[int, int] | None:
    """Identity of the folder of a run, which another folder of the same name has not; None without a run."""
    try:
        run.config.stat()
        found = run.path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _refuse_other_configuration(run: RunFolder, began: dict[str, Any], requested: dict[str, Any]) -> None:
    earlier = run.read_config().get(EARLIER_EPOCHS, [])
    if began["train"].get("epochs") in earlier:
        # The run was given another number of epochs since its last checkpoint.
        began = began | {"train": began["train"] | {"epochs": requested["train"]["epochs"]}}
    if changed := differences(requested, began):
        raise InputError(
            f"{run.config}: has been changed since the run began ({'; '.join(changed)});"
            " restore it, or train again into another folder"
        )


def _running_mean(model: SiameseNet, config: TrainConfig) -> AveragedModel | None:
    """Exponential moving average of weights and statistics (Polyak and Juditsky 1992), or None."""
    if not config.ema:
        return None
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(config.ema), use_buffers=True)


class Step:
    """From the gradients of one or more batches to new weights.

    AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101) or :class:`Muon`, with decay of kernels and matrices of layers
    only, after clipping (Pascanu et al. 2013, arXiv:1211.5063); in float16 on scaled losses (Micikevicius et al. 2018,
    arXiv:1710.03740).
    """

    def __init__(self, trained: nn.Module, config: TrainConfig) -> None:
        kernels = {id(layer.weight) for layer in trained.modules() if isinstance(layer, nn.Conv2d | nn.Linear)}
        decayed, others = [], []
        for parameter in trained.parameters():
            (decayed if id(parameter) in kernels else others).append(parameter)
        betas = (config.beta1, config.beta2)
        device = next(trained.parameters()).device
        on_gpu = device.type == "cuda"
        if config.optimizer == "muon":
            self.optimizer = Muon(decayed, others, config.lr, config.weight_decay, betas, capturable=on_gpu)
        else:
            groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
            self.optimizer = torch.optim.AdamW(groups, lr=config.lr, betas=betas, fused=True, capturable=on_gpu)
        for group in self.optimizer.param_groups if on_gpu else ():
            # A recorded step reads it there.
            group["lr"] = torch.tensor(config.lr, device=device)
        self.scaler = torch.amp.GradScaler(enabled=config.precision == "float16")
        self._trained = trained
        self._config = config

    def backward(self, loss: torch.Tensor, batches: int = 1) -> None:
        """Add a batch's share of the gradient of so many batches."""
        self.scaler.scale(loss / batches).backward()

    def pace(self, learning_rate: float, beta1: float) -> None:
        """Set the values of the next update."""
        for group in self.optimizer.param_groups:
            group["betas"] = beta1, self._config.beta2
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].fill_(learning_rate)
            else:
                group["lr"] = learning_rate

    def update(self) -> torch.Tensor:
        """Change the weights, and give the norm that the gradient had, float32 ().

        A gradient that is not finite changes no weight on a CPU or in float16. Elsewhere the training ends.
        """
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self._trained.parameters(), self._config.clip_norm)
        if (norm.is_cuda and not self.scaler.is_enabled()) or norm.isfinite():
            self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()
        return norm


def _validate(model: SiameseNet, val: Judgements, nu: float, ranks: Ranks) -> dict[str, float]:
    model.eval()
    logit, y, votes = _predicted(model, val, ranks), val.y, {"tie": val.tie, "weight": val.weight}
    assert y is not None
    return {
        "accuracy": metrics.accuracy(y, logit, **votes),
        "f1": metrics.macro_f1(y, logit, **votes),
        "log_loss": metrics.log_loss(y, logit, **votes, nu=nu),
    }


def _predicted(model: SiameseNet, val: Judgements, ranks: Ranks) -> np.ndarray:
    """Logits of all rows, float32 (N,), of which each rank predicts a part."""
    if not ranks.several:
        return predict_logits(model, val)
    part = ranks.part(len(val))
    own = predict_logits(model, val.select(part)) if part.start < part.stop else np.empty(0, np.float32)
    return ranks.whole(torch.from_numpy(own), part, len(val)).numpy()
