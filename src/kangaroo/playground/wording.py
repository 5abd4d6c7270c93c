"""The words in which questions are asked. The last two wordings of each list are never used in training."""

from kangaroo.playground.vocabulary import Language

NUM_HELD_OUT = 2

_EN = {
    "describe": """
        Describe the film.
        Give a description of this film.
        What happens in the film?
        Tell me everything that happens.
        What do you see in this video?
        Give a brief description of this video.
        Describe the whole video.
        Say what happens in the film.
        What goes on in the film?
        Describe everything that happens in this video.
        Tell me what happens in the film.""",
    "what": """
        Which object {does}?
        What {does}?
        Tell me which object {does}.
        Which thing {does} in the film?
        What is the object that {does}?
        Name the object that {does}.
        Which thing {does}?
        Name what {does}.
        What object is seen that {does}?
        Can you see which object {does}?
        Tell me the object that {does}.
        Say what {does} in the film.
        Tell me which thing {does} in the film.
        Which is the object that {does}?
        Tell me what {does} in the film.""",
    "count.all": """
        How many objects are there in the film?
        How many different objects are shown?
        Count all the objects in the film.
        What is the number of objects in the film?
        How many things can you see in total?
        How many objects does the film show?
        What is the number of objects?
        Count all different objects.
        How many different things appear?
        Give the total number of objects in the film.
        What is the total number of objects shown?
        Count the different objects in the film.""",
    "count.colour": """
        How many {colour} objects are there?
        How many objects are {colour}?
        Count the {colour} objects.
        What is the number of {colour} objects?
        How many {colour} things can you see?
        How many {colour} objects does the film show?
        Count all {colour} objects.
        What is the total of {colour} objects?
        How many of the objects are {colour}?
        Count the objects that are {colour}.
        How many {colour} objects can you see in the film?""",
    "count.shape": """
        How many {shapes} are there?
        How many {shapes} are shown in the film?
        Count the {shapes}.
        What is the number of {shapes}?
        How many {shapes} can you see?
        How many {shapes} does the film show?
        Count all {shapes}.
        What is the total of {shapes}?
        How many of the objects are {shapes}?
        Count the {shapes} in the film.
        How many {shapes} are there in the film?""",
    "colour": """
        What colour is the {thing}?
        Which colour is the {thing}?
        What is the colour of the {thing}?
        Tell me the colour of the {thing}.
        Which colour does the {thing} have?
        Name the colour of the {thing}.
        Say what colour the {thing} is.
        Can you see the colour of the {thing}?
        What colour does the {thing} have?
        Which is the colour of the {thing}?""",
    "where": """
        Where is the {thing}?
        In which part of the picture is the {thing}?
        Where can you see the {thing}?
        Tell me where the {thing} is.
        What is the position of the {thing}?
        Where in the picture is the {thing}?
        At which place is the {thing}?
        Say where the {thing} is.
        Can you see where the {thing} is?
        In which part of the picture can you see the {thing}?
        Tell me the position of the {thing}.""",
    "where.before": """
        Where is the {thing} before it moves?
        Where is the {thing} at first?
        Tell me where the {thing} is before it moves.
        In which part of the picture is the {thing} at first?
        What is the position of the {thing} before it moves?
        Where can you see the {thing} at first?
        At which place is the {thing} before it moves?
        Say where the {thing} is at first.
        Can you see where the {thing} starts?
        Tell me where the {thing} is at first.
        In which part of the picture is the {thing} before it moves?""",
    "where.after": """
        Where is the {thing} after it moves?
        Where is the {thing} in the end?
        Tell me where the {thing} is after it moves.
        In which part of the picture is the {thing} in the end?
        What is the position of the {thing} after it moves?
        Where can you see the {thing} in the end?
        At which place is the {thing} after it moves?
        Say where the {thing} is at last.
        Can you see where the {thing} stops?
        Tell me where the {thing} is in the end.
        In which part of the picture is the {thing} after it moves?""",
    "way.move": """
        Which way does the {thing} move?
        In which direction does the {thing} move?
        Where does the {thing} move to?
        Tell me which way the {thing} moves.
        What is the direction in which the {thing} moves?
        Which direction does the {thing} take?
        To which side does the {thing} move?
        Say where the {thing} moves.
        Can you see which way the {thing} moves?
        What direction does the {thing} take?
        Name the direction in which the {thing} moves.
        What is the way that the {thing} goes?
        Tell me in which direction the {thing} moves.
        What is the direction that the {thing} takes?""",
    "way.enter": """
        From which side does the {thing} enter?
        Where does the {thing} come from?
        Which side does the {thing} enter from?
        Tell me from which side the {thing} enters.
        From where does the {thing} come in?
        On which side does the {thing} come in?
        At which side does the {thing} enter?
        Say where the {thing} comes from.
        Can you see from where the {thing} enters?
        Tell me which side the {thing} comes from.
        From which side does the {thing} come in?""",
    "way.leave": """
        On which side does the {thing} leave?
        Where does the {thing} leave to?
        Which side does the {thing} leave to?
        Tell me to which side the {thing} leaves.
        To which side does the {thing} go out?
        On which side does the {thing} go out?
        At which side does the {thing} leave?
        Say where the {thing} goes.
        Can you see to where the {thing} leaves?
        Tell me which side the {thing} leaves to.
        To which side does the {thing} leave?""",
    "order.first": """
        Which object comes into view first?
        What comes first?
        Which object is the first to be seen?
        Tell me which object comes first.
        What is the first object in the film?
        Which object comes first in the film?
        Name the first object that comes.
        Which thing do you see first?
        Can you see which object comes first?
        Tell me which object is the first to be seen.
        What is the first object that comes into view?""",
    "order.last": """
        Which object comes into view last?
        What comes last?
        Which object is the last to come?
        Tell me which object comes last.
        What is the last object to come into view?
        Which object comes last in the film?
        Name the last object that comes.
        Which thing do you see last?
        Can you see which object comes last?
        Tell me which object is the last to come.
        What is the last object that comes into view?""",
    "order.after": """
        Which object comes right after the {thing}?
        What comes into view after the {thing}?
        Which object follows the {thing}?
        Tell me which object comes after the {thing}.
        After the {thing}, what comes next?
        What follows the {thing}?
        Name the next object after the {thing}.
        Which thing do you see right after the {thing} comes?
        Can you see which object comes after the {thing}?
        Tell me what comes next after the {thing}.
        Say which thing comes into view right after the {thing}.
        Which object comes next after the {thing}?
        Tell me what comes into view right after the {thing}.""",
    "order.before": """
        Which object comes right before the {thing}?
        What comes into view before the {thing}?
        Which object is followed by the {thing}?
        Tell me which object comes before the {thing}.
        Before the {thing}, what comes?
        What is followed by the {thing}?
        Name the object that comes before the {thing}.
        Which thing do you see right before the {thing} comes?
        Can you see which object comes before the {thing}?
        Tell me what comes just before the {thing}.
        Say which thing comes into view right before the {thing}.
        Which object comes just before the {thing}?
        Tell me what comes into view right before the {thing}.""",
    "order.next": """
        What happens after {clause}?
        What happens right after {clause}?
        {clause}. What happens next?
        Tell me what happens after {clause}.
        After {clause}, what happens?
        What comes next after {clause}?
        Say what happens after {clause}.
        Once {clause}, what happens next?
        Can you see what happens after {clause}?
        Tell me what happens next after {clause}.
        Right after {clause}, what happens?""",
    "when.arrive": """
        When does the {thing} come into view?
        When does the {thing} come?
        At what time does the {thing} come into view?
        Tell me when the {thing} comes into view.
        At which second does the {thing} come?
        When can you first see the {thing}?
        At what second does the {thing} come into view?
        Say when the {thing} comes.
        Can you see when the {thing} comes into view?
        Tell me at which second the {thing} comes.
        Say at what second the {thing} comes into view.
        What is the second at which the {thing} comes?
        At which second does the {thing} come into view?
        Tell me when the {thing} comes.""",
    "when.act": """
        When does the {thing} {do}?
        When does the {thing} start to {do}?
        At what time does the {thing} {do}?
        Tell me when the {thing} starts to {do}.
        At which second does the {thing} start to {do}?
        At what time does the {thing} start to {do}?
        At what second does the {thing} {do}?
        Say when the {thing} starts to {do}.
        Can you see when the {thing} starts to {do}?
        Tell me at which second the {thing} starts to {do}.
        Say at what second the {thing} starts to {do}.
        What is the second at which the {thing} starts to {do}?
        In which second does the {thing} {do}?
        At which second does the {thing} {do}?
        Tell me at what time the {thing} starts to {do}.""",
    "often": """
        How many times does the {thing} {do}?
        How often does the {thing} {do}?
        Count how many times the {thing} {do}s.
        Tell me how often the {thing} {do}s.
        What number of times does the {thing} {do}?
        Tell me how many times the {thing} {do}s.
        What is the number of times that the {thing} {do}s?
        Say how many times the {thing} {do}s.
        Can you see how often the {thing} {do}s?
        Count how often the {thing} {do}s.
        In the film, how many times does the {thing} {do}?""",
    "action": """
        What does the {thing} do?
        What happens to the {thing}?
        Tell me what the {thing} does.
        What is the {thing} doing?
        How does the {thing} act?
        What does the {thing} do in the film?
        Say what the {thing} does.
        What do you see the {thing} do in the film?
        Can you tell what happens to the {thing}?
        Tell me what you see the {thing} do.
        What can be seen to happen to the {thing}?
        Tell me what happens to the {thing}.
        What can you see the {thing} do?""",
    "change": """
        What colour does the {thing} turn?
        Which colour does the {thing} turn into?
        What is the new colour of the {thing}?
        To which colour does the {thing} change?
        Tell me the new colour of the {thing}.
        Into what colour does the {thing} turn?
        Say which colour the {thing} turns.
        Can you see which colour the {thing} turns into?
        What is the colour of the {thing} after the change?
        Which is the new colour of the {thing}?
        What colour does the {thing} change to?""",
    "yes_no": """
        Does the {thing} {do}?
        Does the {thing} {do} in the film?
        Can you see the {thing} {do}?
        Is it true that the {thing} does {do}?
        Tell me, does the {thing} {do}?
        Do you see the {thing} {do}?
        Say whether the {thing} does {do}.
        Would you say that the {thing} does {do}?
        In this video, does the {thing} {do}?
        Does the {thing} ever {do}?
        Tell me, can you see the {thing} {do}?
        In the film, does the {thing} {do}?""",
    "yes_no.there": """
        Is there a {thing}?
        Is there a {thing} in the film?
        Can you see a {thing}?
        Does a {thing} come into view?
        Tell me, is there a {thing}?
        Do you see a {thing}?
        Say whether there is a {thing}.
        Would you say that there is a {thing}?
        Does this video show a {thing}?
        Tell me, can you see a {thing}?
        Does the film show a {thing}?""",
}

_ZH = {
    "describe": """
        描述一下这段影片。
        请描述这个视频。
        影片里发生了什么？
        请告诉我发生的一切。
        你在视频里看到了什么？
        请简单描述这段视频。
        请说说影片的内容。
        视频里都发生了什么？
        请描述整段视频。
        请描述影片里发生的一切。
        请告诉我影片里发生了什么。""",
    "what": """
        哪个物体{does}？
        什么东西{does}？
        请说出哪个物体{does}。
        影片里哪个物体{does}？
        {does}的物体是什么？
        {does}的是哪个物体？
        请问是什么东西{does}？
        {does}的东西是什么？
        你看到哪个物体{does}？
        视频里哪个物体{does}？
        请说出{does}的物体。
        影片里什么东西{does}？""",
    "count.all": """
        影片里一共有多少个物体？
        一共出现了几个物体？
        请数一数影片里的物体。
        影片里物体的数量是多少？
        你一共看到几个物体？
        影片里一共出现了几个物体？
        影片里有几个物体？
        物体一共有多少个？
        请数出所有的物体。
        请说出物体的总数。
        请数一数一共有多少个物体。
        出现的物体的数量是多少？""",
    "count.colour": """
        有多少个{colour}的物体？
        有几个物体是{colour}的？
        请数一数{colour}的物体。
        {colour}物体的数量是多少？
        你看到几个{colour}的物体？
        影片里有几个{colour}的物体？
        {colour}的物体一共有几个？
        请数出所有{colour}的物体。
        请说出{colour}物体的数量。
        请数一数有多少个{colour}的物体。
        影片里有多少个物体是{colour}的？""",
    "count.shape": """
        有多少个{shape}？
        影片里有几个{shape}？
        请数一数{shape}。
        {shape}的数量是多少？
        你看到几个{shape}？
        影片里有多少个{shape}？
        {shape}一共有几个？
        请数出所有{shape}。
        请说出{shape}的数量。
        请数一数有几个{shape}。
        影片里{shape}的数量是多少？""",
    "colour": """
        {thing}是什么颜色？
        {thing}的颜色是什么？
        请说出{thing}的颜色。
        {thing}是哪种颜色？
        影片里{thing}是什么颜色的？
        影片里{thing}的颜色是什么？
        请问{thing}是什么颜色？
        你看到的{thing}是什么颜色？
        {thing}的颜色是哪一种？
        请说出{thing}是什么颜色。
        {thing}是哪种颜色的？""",
    "where": """
        {thing}在哪里？
        {thing}在画面的什么位置？
        你在哪里看到{thing}？
        请说出{thing}的位置。
        {thing}的位置是哪里？
        画面里{thing}在哪里？
        请问{thing}在哪里？
        {thing}在什么位置？
        你看到{thing}在哪里？
        请说出{thing}在哪里。
        {thing}在画面的哪个位置？""",
    "where.before": """
        {thing}移动前在哪里？
        {thing}一开始在哪里？
        请说出{thing}移动前的位置。
        {thing}一开始在画面的什么位置？
        移动之前，{thing}在哪里？
        请说出{thing}一开始的位置。
        请问{thing}移动前在哪里？
        {thing}移动之前在什么位置？
        你看到{thing}一开始在哪里？
        {thing}移动前在画面的什么位置？
        一开始，{thing}在哪里？""",
    "where.after": """
        {thing}移动后在哪里？
        {thing}最后在哪里？
        请说出{thing}移动后的位置。
        {thing}最后在画面的什么位置？
        移动之后，{thing}在哪里？
        请说出{thing}最后的位置。
        请问{thing}移动后在哪里？
        {thing}移动之后在什么位置？
        你看到{thing}最后在哪里？
        {thing}移动后在画面的什么位置？
        最后，{thing}在哪里？""",
    "way.move": """
        {thing}往哪个方向移动？
        {thing}朝哪边移动？
        {thing}移动的方向是什么？
        请说出{thing}移动的方向。
        {thing}向哪里移动？
        请说出{thing}往哪个方向移动。
        请问{thing}移动的方向是哪边？
        {thing}是朝哪个方向移动的？
        你看到{thing}往哪里移动？
        {thing}往哪边移动？
        {thing}朝哪个方向移动？""",
    "way.enter": """
        {thing}从哪边进来？
        {thing}是从哪里进来的？
        {thing}从哪一侧进入画面？
        请说出{thing}从哪边进来。
        {thing}从哪个方向进来？
        {thing}从哪边进入画面？
        请问{thing}从哪边进来？
        {thing}进来的方向是哪边？
        你看到{thing}从哪里进来？
        请说出{thing}从哪里进来。
        {thing}是从哪一侧进来的？""",
    "way.leave": """
        {thing}从哪边离开？
        {thing}是从哪里离开的？
        {thing}从哪一侧离开画面？
        请说出{thing}从哪边离开。
        {thing}从哪个方向离开？
        {thing}从哪边离开画面？
        请问{thing}从哪边离开？
        {thing}离开的方向是哪边？
        你看到{thing}从哪里离开？
        请说出{thing}从哪里离开。
        {thing}是从哪一侧离开的？""",
    "order.first": """
        哪个物体最先出现？
        最先出现的是什么？
        第一个出现的物体是什么？
        请说出最先出现的物体。
        哪个物体第一个被看到？
        第一个出现的是哪个物体？
        请问最先出现的是什么？
        你最先看到哪个物体？
        首先出现的物体是什么？
        请说出哪个物体最先出现。
        影片里最先出现的是什么？""",
    "order.last": """
        哪个物体最后出现？
        最后出现的是什么？
        最后一个出现的物体是什么？
        请说出最后出现的物体。
        哪个物体最后一个被看到？
        最后一个出现的是哪个物体？
        请问最后出现的是什么？
        你最后看到哪个物体？
        最后出现的是哪个物体？
        请说出哪个物体最后出现。
        影片里最后出现的是什么？""",
    "order.after": """
        {thing}之后出现的是什么？
        哪个物体紧接着{thing}出现？
        {thing}后面出现了哪个物体？
        请说出{thing}之后出现的物体。
        在{thing}之后，什么东西出现？
        在{thing}之后出现的是哪个物体？
        请问{thing}之后出现的是什么？
        {thing}出现以后，你看到哪个物体？
        紧跟着{thing}出现的是什么？
        请说出哪个物体紧接在{thing}之后出现。
        {thing}之后紧接着出现了什么？""",
    "order.before": """
        {thing}之前出现的是什么？
        哪个物体在{thing}的前一个出现？
        {thing}前面出现了哪个物体？
        请说出{thing}之前出现的物体。
        在{thing}之前，什么东西出现？
        在{thing}之前出现的是哪个物体？
        请问{thing}之前出现的是什么？
        {thing}出现以前，你看到哪个物体？
        请说出哪个物体紧接在{thing}之前出现。
        紧接在{thing}之前出现了什么？""",
    "order.next": """
        {clause}之后发生了什么？
        {clause}，接着发生了什么？
        在{clause}之后，发生了什么？
        请说出{clause}之后发生的事。
        {clause}后面发生了什么？
        {clause}之后，接着发生了什么？
        请问{clause}之后发生了什么？
        {clause}以后发生了什么？
        你看到{clause}之后发生了什么？
        请说出{clause}之后发生了什么。
        在{clause}后面发生了什么？""",
    "when.arrive": """
        {thing}什么时候出现？
        {thing}在第几秒出现？
        {thing}是什么时候来的？
        请说出{thing}出现的时间。
        什么时候能看到{thing}？
        请说出{thing}什么时候出现。
        请问{thing}什么时候出现？
        {thing}是第几秒出现的？
        你什么时候看到{thing}？
        {thing}是在第几秒出现的？
        {thing}出现的时间是什么时候？""",
    "when.act": """
        {thing}什么时候{do}？
        {thing}在第几秒{do}？
        {thing}什么时候开始{do}？
        请说出{thing}{do}的时间。
        {thing}从第几秒开始{do}？
        请说出{thing}什么时候{do}。
        请问{thing}什么时候{do}？
        {thing}是第几秒{do}的？
        你看到{thing}什么时候{do}？
        {thing}在第几秒开始{do}？
        {thing}{do}的时间是什么时候？""",
    "often": """
        {thing}{do}了几次？
        {thing}{do}多少次？
        请数一数{thing}{do}了几次。
        {thing}{do}的次数是多少？
        {thing}一共{do}了几次？
        {thing}一共{do}多少次？
        请问{thing}{do}了几次？
        你看到{thing}{do}了多少次？
        请数出{thing}{do}的次数。
        请说出{thing}{do}的次数。
        影片里{thing}{do}了几次？""",
    "action": """
        {thing}做了什么？
        {thing}发生了什么？
        请说出{thing}做了什么。
        {thing}在做什么？
        {thing}有什么动作？
        影片里{thing}做了什么？
        请问{thing}做了什么？
        你看到{thing}做了什么？
        影片里{thing}发生了什么？
        请说出{thing}发生了什么。
        {thing}有什么变化或动作？""",
    "change": """
        {thing}变成了什么颜色？
        {thing}变成哪种颜色？
        {thing}的新颜色是什么？
        请说出{thing}的新颜色。
        {thing}后来是什么颜色？
        请说出{thing}变成了什么颜色。
        请问{thing}变成了什么颜色？
        你看到{thing}变成了什么颜色？
        {thing}变色后是什么颜色？
        {thing}变成了哪种颜色？
        {thing}后来变成了什么颜色？""",
    "yes_no": """
        {thing}{do}吗？
        影片里{thing}{do}吗？
        你看到{thing}{do}吗？
        {thing}是不是{do}？
        请问{thing}{do}吗？
        请问{thing}是不是{do}？
        {thing}有没有{do}？
        你有没有看到{thing}{do}？
        你看到{thing}{do}了吗？
        影片里{thing}是不是{do}？""",
    "yes_no.there": """
        有{thing}吗？
        影片里有{thing}吗？
        你看到{thing}了吗？
        {thing}出现了吗？
        请问有{thing}吗？
        请问你看到{thing}了吗？
        有没有{thing}？
        你有没有看到{thing}？
        影片里出现{thing}了吗？
        请问影片里有{thing}吗？""",
}

# put before a question in training, so that an unheard opening does not disturb the answer
OPENINGS = {
    Language.EN: ("Please answer: ", "Look at the film. ", "In this video: ", "Watch carefully. ", "Question: "),
    Language.ZH: ("请回答：", "请看影片。", "在这段视频里：", "仔细观察。", "问题："),
}

# what asks for a letter alone; the first is what benchmarks use and what we measure with
LETTER_ONLY = {
    Language.EN: (
        "Answer with the option's letter from the given choices directly.",
        "Answer with the letter only.",
        "Respond with only the letter of the correct option.",
        "Only give the best option.",
        "Please directly give the letter of the best option.",
    ),
    Language.ZH: (
        "请直接回答选项字母。",
        "只回答正确选项的字母。",
        "请只给出最佳选项的字母。",
        "请直接给出正确选项的字母。",
    ),
}


def _wordings(source: dict[str, str]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(line.strip() for line in text.strip().splitlines()) for name, text in source.items()}


WORDINGS = {Language.EN: _wordings(_EN), Language.ZH: _wordings(_ZH)}


def heard(template: str, language: Language) -> tuple[str, ...]:
    """Return the wordings that training uses."""
    return WORDINGS[language][template][:-NUM_HELD_OUT]


def unheard(template: str, language: Language) -> tuple[str, ...]:
    """Return the wordings kept for testing."""
    return WORDINGS[language][template][-NUM_HELD_OUT:]
