/** The script of the report: filter, search, open, copy, print. Without it everything is there and can be read. */
export const SCRIPT = `
'use strict'
const all = (selector, root = document) => [...root.querySelectorAll(selector)]
const tools = document.getElementById('tools')
const steps = all('#workflows details.step')
const search = document.getElementById('search')
const boxes = all('#tools input[type=checkbox]')
const found = document.getElementById('found')
const texts = new WeakMap()
const textOf = (element) => {
  if (!texts.has(element)) texts.set(element, element.textContent.toLowerCase())
  return texts.get(element)
}
const apply = () => {
  const wanted = new Set(boxes.filter((box) => box.checked).map((box) => box.value))
  const words = search.value.toLowerCase().split(/\\s+/).filter(Boolean)
  let shown = 0
  for (const step of steps) {
    const fits = wanted.has(step.dataset.standing) && (words.length === 0 || words.every((word) => textOf(step).includes(word)))
    step.hidden = !fits
    if (fits) shown += 1
  }
  found.textContent = shown === steps.length ? 'all ' + steps.length + ' steps shown' : shown + ' of ' + steps.length + ' steps shown'
}
if (tools) {
  tools.hidden = false
  let timer
  search.addEventListener('input', () => { clearTimeout(timer); timer = setTimeout(apply, 120) })
  for (const box of boxes) box.addEventListener('change', apply)
  document.getElementById('open').addEventListener('click', () => { for (const step of steps) if (!step.hidden) step.open = true })
  document.getElementById('close').addEventListener('click', () => { for (const step of steps) step.open = false })
  document.addEventListener('keydown', (event) => {
    if (event.key !== '/' || event.ctrlKey || event.metaKey || event.target.matches('input')) return
    event.preventDefault()
    search.focus()
  })
}
const reveal = () => {
  const target = location.hash.length > 1 ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null
  if (!target) return
  target.hidden = false
  for (let at = target; at; at = at.parentElement) if (at.tagName === 'DETAILS') at.open = true
  target.scrollIntoView()
}
addEventListener('hashchange', reveal)
reveal()
document.addEventListener('click', async (event) => {
  const button = event.target.closest('button[data-copy]')
  if (!button) return
  const code = button.parentElement.querySelector('pre')
  let done = false
  try {
    await navigator.clipboard.writeText(code.textContent)
    done = true
  } catch {
    getSelection().selectAllChildren(code)
    done = document.execCommand('copy')
  }
  button.textContent = done ? 'Copied' : 'Press Ctrl+C'
  setTimeout(() => { button.textContent = 'Copy' }, 1500)
})
for (const button of all('button[data-copy]')) button.hidden = false
let closed = []
addEventListener('beforeprint', () => { closed = all('details:not([open])'); for (const one of closed) one.open = true })
addEventListener('afterprint', () => { for (const one of closed) one.open = false })
`
