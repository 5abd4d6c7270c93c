// A row of frames under the player. A click on one, or on a link to a moment anywhere on the page, seeks the player
// here in the browser: no script runs again for it, so an answer that is being told goes on.
// It also keeps the end of an answer in sight while it is told, until the visitor scrolls away from it.
const LINK = 'a[href^="#t="]'
const NEAR_PX = 60

export default function ({ data, parentElement }) {
  const row = parentElement.querySelector(".row")
  const complaint = parentElement.querySelector(".complaint")
  const player = () => document.querySelector("video")
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches

  const seek = (second) => {
    const video = player()
    if (!video) return
    video.currentTime = second
    const { top, bottom } = video.getBoundingClientRect()
    // a part of the player that is hidden by the page's head or foot counts as hidden
    if (top < 45 || bottom > innerHeight - 90)
      video.scrollIntoView({ behavior: still ? "auto" : "smooth", block: "center" })
    mark()
  }

  const follow = (event) => {
    const link = event.composedPath().find((node) => node.matches?.(LINK))
    if (!link) return
    event.preventDefault()
    event.stopPropagation()
    seek(Number(link.getAttribute("href").slice(3)))
  }

  const mark = () => {
    const video = player()
    complaint.hidden = !video?.error
    if (!video) return
    let current = null
    for (const frame of row.children) {
      if (Number(frame.dataset.second) <= video.currentTime + 0.05) current = frame
      frame.removeAttribute("aria-current")
    }
    current ??= row.firstElementChild
    current?.setAttribute("aria-current", "true")
    if (current && (current.offsetLeft < row.scrollLeft
      || current.offsetLeft + current.offsetWidth > row.scrollLeft + row.clientWidth))
      row.scrollTo({ left: current.offsetLeft - 40, behavior: still ? "auto" : "smooth" })
  }

  complaint.textContent = data.complaint
  row.replaceChildren(...data.frames.map(({ second, time, label, picture }) => {
    const frame = document.createElement("button")
    frame.type = "button"
    frame.dataset.second = second
    frame.title = label
    frame.setAttribute("aria-label", label)
    const image = document.createElement("img")
    image.src = picture
    image.alt = ""
    const caption = document.createElement("span")
    caption.textContent = time
    frame.append(image, caption)
    frame.onclick = () => seek(second)
    return frame
  }))
  mark()

  const talk = document.querySelector(".st-key-talk")
  const scroller = talk?.closest(".stMain")
  let follows = data.running
  const keepUp = new ResizeObserver(() => follows && scroller.scrollTo({ top: scroller.scrollHeight }))
  let top = scroller?.scrollTop
  const leave = () => {
    const end = scroller.scrollHeight - scroller.clientHeight - scroller.scrollTop < NEAR_PX
    if (scroller.scrollTop < top) follows = false
    else if (end) follows = data.running
    top = scroller.scrollTop
  }
  if (data.running && scroller) {
    keepUp.observe(talk)
    scroller.addEventListener("scroll", leave)
  }

  // media events do not bubble, but they can be caught on the way down
  const kinds = ["timeupdate", "seeked", "loadeddata", "error", "emptied"]
  document.addEventListener("click", follow, true)
  for (const kind of kinds) document.addEventListener(kind, mark, true)
  return () => {
    keepUp.disconnect()
    scroller?.removeEventListener("scroll", leave)
    document.removeEventListener("click", follow, true)
    for (const kind of kinds) document.removeEventListener(kind, mark, true)
  }
}
