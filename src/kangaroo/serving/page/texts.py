"""Every word of the page, in both languages."""

import re

from kangaroo.playground.vocabulary import Language, Phrase

NAMES = {Language.EN: "English", Language.ZH: "中文"}

TEXTS = {
    "answers": Phrase("{model} answers", "由 {model} 回答"),
    "loading": Phrase("Loading the model …", "正在载入模型……"),
    # the film
    "film": Phrase("Film", "影片"),
    "films": Phrase("Films", "影片"),
    "upload": Phrase("Upload", "上传"),
    "link": Phrase("Link", "链接"),
    "kangaroo": Phrase("Crab and beaver", "螃蟹与海狸"),
    "badger": Phrase("Badger", "獾"),
    "deer": Phrase("Deer, three scenes", "鹿，三个场景"),
    "choose_file": Phrase("A video or picture from your device", "选择您设备中的视频或图片"),
    "choose_url": Phrase("Address of a video file", "视频文件的网址"),
    "fetch": Phrase("Fetch", "获取"),
    "opening": Phrase("Opening the film …", "正在打开影片……"),
    "no_film": Phrase("This film cannot be used", "无法使用这部影片"),
    "kept": Phrase("The film before is still here.", "之前的影片仍然保留。"),
    "cannot_play": Phrase(
        "This browser cannot play the film. The frames below are what the model looks at.",
        "此浏览器无法播放该影片。模型所看的画面见下方。",
    ),
    "will_see": Phrase("What the model will look at", "模型将要看的画面"),
    "saw": Phrase("What the model looked at", "模型看过的画面"),
    "go_to": Phrase("Go to {time}", "跳到 {time}"),
    "cannot_ask": Phrase("A question cannot be asked like this", "目前无法提问"),
    # settings
    "settings": Phrase("Settings", "设置"),
    "frames": Phrase("Frames", "画面"),
    "rule": Phrase("The model's rule", "模型的规则"),
    "rate": Phrase("Rate", "频率"),
    "count": Phrase("Number", "数量"),
    "frames_help": Phrase(
        "The model looks at still frames of the film. More frames miss less and cost more time.",
        "模型看的是影片中的静止画面。画面越多，遗漏越少，耗时越长。",
    ),
    "rate_label": Phrase("Frames a second", "每秒画面数"),
    "bounds": Phrase(
        "At least {least} and at most {most} frames are taken in all.", "总共至少取 {least} 幅、最多取 {most} 幅画面。"
    ),
    "count_label": Phrase("Number of frames", "画面数量"),
    "part": Phrase("Part of the film, in seconds", "影片片段（秒）"),
    "part_help": Phrase("Only this part is looked at, more closely.", "只看这一段，看得更细。"),
    "temperature": Phrase("Variety", "多样性"),
    "temperature_help": Phrase(
        "Temperature. At 0 the likeliest word is always taken, and the same question has the same answer. "
        "Higher values let chance in.",
        "温度。为 0 时总是取最可能的词，同样的问题得到同样的回答；数值越大，随机性越强。",
    ),
    "top_p": Phrase("Likeliest share", "候选范围"),
    "top_p_help": Phrase(
        "Top-p. Words outside the likeliest share are never taken. Matters only with some variety.",
        "Top-p。只在最可能的词中选取，仅在有多样性时起作用。",
    ),
    "seed": Phrase("Seed", "随机种子"),
    "seed_help": Phrase("The same number makes the same chance picks again.", "数字相同，随机选择也相同。"),
    "longest": Phrase("Longest answer", "最长回答"),
    "longest_help": Phrase(
        "In tokens: a word is one or a few. Room for the answer is kept free in the model's context.",
        "以 token 计，一个词约为一到数个。模型的上下文会为回答预留这些空间。",
    ),
    "changed": Phrase("Settings hold from the next question on.", "设置从下一个问题起生效。"),
    # the conversation
    "ask": Phrase("Ask about the film", "就影片提问"),
    "begin": Phrase("Ask anything about the film, for example:", "可以就影片随意提问，例如："),
    "example_1": Phrase("What happens in the film?", "影片里发生了什么？"),
    "example_2": Phrase("How many objects are there?", "一共有几个物体？"),
    "example_3": Phrase("What is seen at the beginning?", "开头看到了什么？"),
    "times_hint": Phrase(
        "Times in answers are links: they take the player there.", "回答中的时间是链接，点击后播放器会跳到该处。"
    ),
    "looking": Phrase("Looking and thinking …", "正在观看和思考……"),
    "stop": Phrase("Stop", "停止"),
    "regenerate": Phrase("Regenerate", "重新回答"),
    "reset": Phrase("Reset", "清空"),
    "save": Phrase("Save", "保存"),
    "stopped": Phrase("stopped", "已停止"),
    "stopped_early": Phrase("Stopped before the first word.", "尚未开口便已停止。"),
    "cut": Phrase("cut at the longest answer", "达到最长回答而截断"),
    "cost": Phrase("{tokens} tokens in {seconds} s", "{seconds} 秒内生成 {tokens} 个 token"),
    "silent": Phrase("The model said nothing.", "模型没有作答。"),
    "failed": Phrase("This could not be answered", "未能回答"),
    "try_again": Phrase("Nothing is lost: mend the cause and regenerate.", "内容均已保留：排除原因后可重新回答。"),
    "no_model": Phrase("The model cannot be used", "无法使用模型"),
}

# the line before an answer comes from the library, in English
_PREFLIGHT = (
    (r"(\d+) frames? over ([\d.]+) s", r"\2 秒中的 \1 幅画面"),
    (r"(\d+) images?", r"\1 张图片"),
    (r"([\d,]+) tokens", r"\1 个 token"),
    (r"\bno film\b", "没有影片"),
    (r" and ", "和"),
)


def say(key: str, language: Language, **values: object) -> str:
    """Return the page's words for `key`."""
    return str(getattr(TEXTS[key], language)).format(**values)


def say_preflight(line: str, language: Language) -> str:
    """Return an answer's preflight line in a language."""
    if language is Language.ZH:
        for english, chinese in _PREFLIGHT:
            line = re.sub(english, chinese, line)
    return line.replace("->", "→")
