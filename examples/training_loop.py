"""A training loop of your own, on the parts of twinrank.

python examples/training_loop.py data/train.npz data/val.npz --epochs 3
"""

import argparse

import torch
from torch.utils.data import DataLoader

import twinrank as tr
from twinrank.data.batches import Batch
from twinrank.training.objectives import Objective


def main(train: str, val: str, epochs: int, width: int, batch_size: int = 128, lr: float = 3e-3) -> float:
    """Train order_net, and return its accuracy on the validation pairs."""
    torch.manual_seed(0)
    fitted, others = tr.PairNPZDataset(train, is_train=True), tr.PairNPZDataset(val, is_train=True)
    channels, height, image_width = fitted.data.images.shape
    network = tr.create_model(
        "order_net", channels=channels, image_size=min(height, image_width), options={"width": width}
    )
    network.encode.standardise(torch.from_numpy(fitted.data.xa[:5000].copy()))
    # The pair loss, and the terms by which the latent levels are found.
    objective = Objective(tr.TrainConfig(contrastive_weight=1.0, balance_weight=2.0), network)
    loader = DataLoader(fitted, batch_size, shuffle=True, drop_last=True)
    optimizer = torch.optim.AdamW(network.parameters(), lr, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, epochs * len(loader))
    accuracy, loss = 0.0, torch.tensor(0.0)
    for epoch in range(1, epochs + 1):
        network.train()
        for xa, xb, y in loader:
            loss = objective(network, Batch.of_pairs(xa, xb, y)).total
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
        network.eval()
        with torch.inference_mode():
            right = sum(((network(xa, xb) > 0) == (y == 1)).sum().item() for xa, xb, y in DataLoader(others, 500))
        accuracy = right / len(others)
        print(f"epoch {epoch}: loss of the last batch {loss.item():.4f}, accuracy {accuracy:.2%}")
    return accuracy


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("train", help="labelled pairs to fit")
    parser.add_argument("val", help="labelled pairs to measure the accuracy on")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--width", type=int, default=8)
    main(**vars(parser.parse_args()))
