"""A YOLO checkpoint with random weights, made by ultralytics itself: the real loader on weights that are nobody's."""

from pathlib import Path

from analyzer_agent.tools.engines import ultralytics as door


def random_detector(folder: Path) -> Path:
    """Save a detector that finds something on most pictures, and return where."""
    path = folder / "random.pt"
    library = door._library()
    torch = library.utils.torch
    torch.manual_seed(3)
    model = library.YOLO("yolo11n.yaml")
    for scale in model.model.model[-1].cv3:
        torch.nn.init.normal_(scale[-1].bias, -3, 1)  # a network that is new is sure that nothing is there
    model.save(path)
    return path
