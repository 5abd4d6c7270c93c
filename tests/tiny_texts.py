"""What the tokenizers of the tests are trained on."""

TEXTS = [
    "What happens in the film? A red circle moves to the left, then a blue star comes in.",
    "How many shapes are there at 12.5 seconds? There are 3. The answer is B.",
    "影片里发生了什么？一个红色的圆形向左移动，然后蓝色的星星出现了。",
    "一共有几个形状？三个。答案是 B。",
]
