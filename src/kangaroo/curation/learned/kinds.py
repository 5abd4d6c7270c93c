"""Say of what kind a clip is by what its pictures show, for those who would not trust a captioner's word.

EfficientNet-lite0 knows ImageNet's 1000 classes; a kind's certainty is the sum over its classes, averaged over the
pictures, so that a clip of five breeds of dog is surely of dogs. ImageNet has no classes for people: what they wear
stands for them. torch is imported when a finder is made. Axes: picture, row, column; label.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float64, Int, UInt8

from kangaroo.curation.words.categories import OTHER, PictureSettings
from kangaroo.video.frames import Frames

VERSION = 1
NUM_CLASSES = 1000
THINGS = "things"  # whatever is in no list below

# ImageNet numbers animals by their families and everything else by the alphabet
_CLASSES = {
    "people": "399-400 411 433 439 443 445 451-452 457 459 461 465 474 490 501-502 514-515 529 552 568 570 578 584 "
    "601 608 610 614 617 630 638-639 643 652 655 658 667 678-679 689 691 697 715 735 748 770 774-775 793 796 806 808 "
    "824 834 836-837 841-842 869 887 903 906 982",
    "sport": "416 422 429-430 450 518 522 537 543 560 574 602 615 702 722 736 746-747 752 768 781 795 801 805 852 890 "
    "981 983",
    "music": "401-402 420 432 486 494 513 541-542 546 558 566 577 579 593-594 641-642 650 683-684 687 699 776 818-819 "
    "822 854 875 881 889 902",
    "dogs": "151-268",
    "cats": "281-285",
    "birds": "7-24 80-100 127-146 448",
    "sea life": "0-6 107-126 147-150 327-329 389-397 973",
    "reptiles": "25-68",
    "insects": "69-79 300-326 410 599 815",
    "mammals": "101-106 269-280 286-299 330-388",
    "food": "415 440-441 467 469 473 499 503-505 509 512 521 534 544 550 567 572 582 618 647 651 653 659 666 725 729 "
    "737 760 762 766 773 809 813 827-828 849 859 868 891 898-899 901 907 909-910 923-957 959-969 987 998",
    "plants": "580 738 883 958 984-986 988-997",
    "nature": "672 970 972 974-980",
    "vehicles": "407-408 436 444 466 468 475 479 511 535 547 555 561 565 569 571 573 575 581 586 595 603 609 612 621 "
    "627 654 656 660-661 665 670-671 675 690 705 717 730 734 751 757 779 785 802-803 817 820 829 847 856 864 866-867 "
    "870 874 880",
    "ships": "403 460 472 484 510 536 540 554 576 625 628 693-694 718 724 780 814 833 871 913-914",
    "aircraft": "404-405 417 657 701 744 812 895 908",
    "city": "406 424-425 437 442 449 454 480 483 489 497-498 500 517 525 538 557 562 634 637 640 646 649 663 668 682 "
    "698 703-704 706-708 716 727 733 743 755 788 807 821 825 832 839 853 858 860 863 865 873 877 884 888 900 912 915 "
    "919-920",
    "indoors": "412 421 423 431 434-435 453 462 470 492-493 495 516 520 526 532-533 539 545 548 553 556 559 564 588 "
    "598 606 619 624 648 669 700 721 741 750 753 765 789 794 799 804 811 831 846 857 861 876 882 892 894 896-897 "
    "904-905 999",
    "screens": "481-482 485 487 508 527-528 530-531 590 592 605 613 620 632 662 664 673 681 688 713 732 742 745 754 "
    "759 761 782 810 848 851 872 878 916",
    "pages": "549 917-918 921-922",
    "tools": "413 418 428 456 471 477 491 563 583 587 596-597 604 623 635 677 695-696 710 714 726 740 763-764 767 769 "
    "783-784 786-787 792 798 816 862",
}
KINDS = (*_CLASSES, THINGS)


@dataclass(frozen=True, kw_only=True)
class KindFound:
    """The kind of a clip, and how sure the network is of the likeliest kind (0 to 1), also where that is too little."""

    kind: str
    certainty: float


class KindFinder:
    """Tells kinds of clips apart.

    >>> KindFinder(find_weights(OBJECTS)).find(key_frames).kind

    Args:
        path: EfficientNet-lite0's weights.
        settings: When a kind is clear.
    """

    def __init__(self, path: Path, settings: PictureSettings = PictureSettings()) -> None:
        from kangaroo.curation.learned.networks.efficientnet import SIDE_PX, EfficientNet

        self._network, self._side_px, self._settings = EfficientNet.load(path), SIDE_PX, settings

    def find(self, frames: Frames) -> KindFound:
        """Return the kind that a clip's key frames, one at least, show."""
        import torch

        assert len(frames), "a kind is found in at least one picture"
        pictures = np.stack([_square(pixels, self._side_px) for pixels in frames.pixels])
        labels = self._network(torch.from_numpy(pictures)).mean(dim=0).numpy().astype(np.float64)
        sums = dict(zip(KINDS, by_kind(labels).tolist(), strict=True))
        best = max(KINDS, key=sums.__getitem__)
        is_clear = sums[best] >= self._settings.certainty
        return KindFound(kind=best if is_clear else OTHER, certainty=round(sums[best], 4))


def by_kind(labels: Float64[np.ndarray, " label"]) -> Float64[np.ndarray, " kind"]:
    """Return the sum over each kind's classes, in the order of `KINDS`."""
    return np.bincount(_kind_of_classes(), weights=labels, minlength=len(KINDS))


@cache
def _kind_of_classes() -> Int[np.ndarray, " label"]:
    kinds = np.full(NUM_CLASSES, KINDS.index(THINGS))
    for place, spans in enumerate(_CLASSES.values()):
        kinds[list(_numbers(spans))] = place
    return kinds


def _numbers(spans: str) -> Iterator[int]:
    for span in spans.split():
        first, _, last = span.partition("-")
        yield from range(int(first), int(last or first) + 1)


def _square(pixels: UInt8[np.ndarray, "row column 3"], side_px: int) -> UInt8[np.ndarray, "side side 3"]:
    """The middle of a picture: what matters is seldom at the ends of the longer side."""
    side = min(pixels.shape[:2])
    top, left = (pixels.shape[0] - side) // 2, (pixels.shape[1] - side) // 2
    return cv2.resize(pixels[top : top + side, left : left + side], (side_px, side_px), interpolation=cv2.INTER_AREA)
