"""The lines of the repairs log in Chinese. The English ones are made where the service mends something.

A test reads these places and holds that each of their sentences has a shape here.
"""

from __future__ import annotations

from collections.abc import Callable

from tasks.text.shapes import Shapes

SHAPES: dict[str, str] = {
    "its flow run was missing": "流程运行缺失",
    "its flow run belonged to a deployment that is gone": "流程运行所属的部署已不存在",
    "its flow run was made for another subject": "流程运行属于另一受试者",
    "its flow run was {} since {}": "流程运行自 {1} 起处于 {0} 状态",
    "its journey has ended, and its flow run was {}": "流程已结束，而流程运行处于 {} 状态",
    "its flow run was {}": "流程运行处于 {} 状态",
    "its flow run was planned for {}": "流程运行的计划时间为 {}",
    "its flow run showed {}": "流程运行显示为 {}",
    "a second journey of {} was started in Prefect; ended": "{} 的另一流程在 Prefect 中被启动；已结束",
    "in Prefect {}; put back": "在 Prefect 中，{}；已恢复",
    "in Prefect {}": "在 Prefect 中，{}",
    "the deployment {} was not as the service applies it ({})": "部署 {} 与系统的设定不同（{}）",
    "the automation by which posted events come in {}": "接收事件的自动化{}",
    "no run had been made of a posted event; made now": "收到的一个事件没有对应的运行；已补建",
    "no run can be made of a posted event: post it to the service's own API": "无法为收到的一个事件建立运行："
    "请改用本系统自己的 API 提交",
    "had been changed": "被改动",
    "was missing": "缺失",
    "it was decided about by a clock that was ahead; decided anew at {}": "此前的判断所依据的时钟偏快；"
    "已于 {} 重新判断",
}


def repair_zh(line: str, phase: Callable[[str], str]) -> str:
    """A line of the repairs log in Chinese; `phase` says a subject's phase. An unknown one stays as it is."""
    problem, put_back, state = line.partition("; put back to ")

    def part(text: str) -> str:
        return shapes.say(text) or phase(text)

    shapes = Shapes(SHAPES, part)
    said = shapes.say(problem if put_back else line)
    if said is None:
        return line
    return f"{said}；已恢复为 {phase(state)}。" if put_back else f"{said}。"
