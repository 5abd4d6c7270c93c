"""Say of what kind a clip is: in a model's word, or by the words of its caption. Imports without torch."""

from collections.abc import Sequence
from dataclasses import dataclass

from kangaroo.curation.words.asking import NOTHING, Asker, Cost, ModelSettings
from kangaroo.curation.words.sentences import content_words
from kangaroo.dialogue.conversation import Conversation
from kangaroo.errors import OptionError

OTHER = "other"


@dataclass(frozen=True, kw_only=True)
class Category:
    """A kind of clip.

    Attributes:
        name: One word or two, as a model would say it.
        words: Words of a caption, in any language, that point to it.
    """

    name: str
    words: tuple[str, ...] = ()


def _category(name: str, english: str, chinese: str) -> Category:
    return Category(name=name, words=(*english.split(), *chinese.split()))


CATEGORIES = (
    _category(
        "people", "person people man woman child boy girl baby crowd face", "人们 男人 女人 男子 女子 孩子 男孩 女孩"
    ),
    _category(
        "animals",
        "animal dog cat bird horse cow sheep fish insect bear lion elephant monkey rabbit crab beaver",
        "动物 小狗 小猫 鸟儿 马匹 奶牛 鱼群 昆虫 狮子 大象 猴子 兔子 海狸",
    ),
    _category(
        "sport", "sport game player ball team race swim ski surf gym stadium", "运动 比赛 球员 足球 篮球 游泳 滑雪"
    ),
    _category(
        "food", "food cook kitchen eat dish meal fruit bread meat cake drink", "食物 烹饪 厨房 吃饭 水果 面包 蛋糕"
    ),
    _category(
        "vehicles",
        "car bus truck train plane boat ship bicycle motorcycle traffic",
        "汽车 公交 卡车 火车 飞机 轮船 自行车",
    ),
    _category(
        "nature",
        "forest mountain sea ocean beach river lake sky cloud tree flower snow",
        "森林 山峰 大海 海滩 河流 湖泊 天空 花朵",
    ),
    _category("city", "city street building road bridge shop market house", "城市 街道 建筑 道路 桥梁 商店 市场 房屋"),
    _category("indoors", "room office table chair desk sofa bed window", "房间 办公室 桌子 椅子 沙发 窗户"),
    _category(
        "screens", "screen computer phone website software slide chart text", "屏幕 电脑 手机 网站 软件 图表 文字"
    ),
    _category(
        "drawings",
        "cartoon animation drawing circle square triangle hexagon pentagon star diamond rectangle shape",
        "卡通 动画 圆形 方形 三角形 六边形 五边形 星形 菱形 矩形 形状",
    ),
)


@dataclass(frozen=True, kw_only=True)
class PictureSettings:
    """When a kind is clear to EfficientNet-lite0, which looks at the key frames.

    Attributes:
        certainty: The kind must come to so much (0 to 1); clips of which none does are `other`.
    """

    certainty: float = 0.3

    def __post_init__(self) -> None:
        if not 0 <= self.certainty <= 1:
            raise OptionError(f"certainty is {self.certainty:g}; give 0 to 1")


@dataclass(frozen=True, kw_only=True)
class CategorySettings:
    """Which kinds there are, and who tells them apart: words by rule, a model's word, or pictures.

    Attributes:
        categories: The kinds; what fits none is `other`.
        model: Who is asked for the word; None counts the words of the caption.
        pictures: Or the network's own kinds are taken, by what the key frames show.
    """

    categories: tuple[Category, ...] = CATEGORIES
    model: ModelSettings | None = None
    pictures: PictureSettings | None = None

    def __post_init__(self) -> None:
        if self.pictures is not None and (self.model is not None or self.categories != CATEGORIES):
            raise OptionError("pictures have kinds of their own; leave out model and categories, or pictures")
        names = [category.name.casefold() for category in self.categories]
        for category in self.categories:
            if not category.name.strip() or names.count(category.name.casefold()) > 1 or category.name == OTHER:
                raise OptionError(f"the category {category.name!r} is empty, given twice or {OTHER!r}; give it a name")
            if self.model is None and not category.words:
                raise OptionError(
                    f"the category {category.name!r} has no words and no model is asked; give one of both"
                )


@dataclass(frozen=True, kw_only=True)
class Named:
    """The kind that a clip is of, `other` where that is not clear, and what a model cost that was asked."""

    name: str
    cost: Cost = NOTHING


def category_of(caption: str, settings: CategorySettings = CategorySettings(), asker: Asker | None = None) -> Named:
    """Return the kind that a clip with this caption is of.

    Raises:
        BlockedError: The model cannot be asked now; the clip waits.
    """
    assert (asker is None) == (settings.model is None), "a model that is asked is opened, and no other"
    if asker is not None:
        names = [category.name for category in settings.categories]
        question = (
            f"Which one of these is the video about: {', '.join(names)}? Answer with that word alone.\n\n{caption}"
        )
        reply = asker.ask(Conversation().ask(question))
        return Named(name=_said(reply.text, names), cost=reply.cost)
    words = content_words(caption)
    # of equals the one that is told first
    counts = [
        (sum(map(words.count, own)), -min(map(words.index, own), default=0), category.name)
        for category in settings.categories
        if (own := {word for given in category.words for word in content_words(given)} & set(words))
    ]
    return Named(name=max(counts)[2] if counts else OTHER)


def _said(reply: str, names: Sequence[str]) -> str:
    said = set(content_words(reply))
    found = [name for name in names if set(content_words(name)) <= said]
    return found[0] if len(found) == 1 else OTHER
