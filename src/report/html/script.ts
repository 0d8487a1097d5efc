/** The script of the report: filter, search, open, copy, print. Without it everything is there and can be read. */
export const SCRIPT = `
'use strict'
const all = (selector, root = document) => [...root.querySelectorAll(selector)]
const texts = new WeakMap()
const textOf = (element) => {
  if (!texts.has(element)) texts.set(element, element.textContent.toLowerCase())
  return texts.get(element)
}
const filters = new Map()
for (const form of all('form.filter')) {
  const { rows: which, groups: around, what } = form.dataset
  const rows = all(which)
  const groups = all(around)
  const output = form.querySelector('output')
  let area = ''
  const apply = () => {
    const data = new FormData(form)
    const kinds = new Set(data.getAll('k'))
    const levels = new Set(data.getAll('level'))
    const words = data.get('text').toLowerCase().split(/\\s+/).filter(Boolean)
    let shown = 0
    for (const row of rows) {
      const group = row.closest('.area, .workflow')
      row.hidden = !((!kinds.size || kinds.has(row.dataset.k)) && (!levels.size || levels.has(row.dataset.level)) && (!area || group.dataset.area === area) && words.every((word) => textOf(row).includes(word)))
      if (!row.hidden) shown += 1
    }
    const narrowed = shown < rows.length
    for (const group of groups) {
      const hit = rows.some((row) => !row.hidden && group.contains(row))
      group.hidden = narrowed && !hit
      group.open = narrowed ? hit : 'hot' in group.dataset
    }
    const empty = form.parentElement.querySelector('.empty')
    if (empty) empty.hidden = shown > 0
    output.textContent = narrowed ? shown + ' of ' + rows.length + ' ' + what + (area ? ' in ' + area : '') : 'all ' + rows.length + ' ' + what
  }
  let timer
  form.hidden = false
  form.addEventListener('input', () => { clearTimeout(timer); timer = setTimeout(apply, 120) })
  form.addEventListener('submit', (event) => event.preventDefault())
  form.addEventListener('reset', () => { area = ''; setTimeout(apply) })
  filters.set(form.id, (kind, only) => {
    for (const box of all('input[type=checkbox]', form)) box.checked = box.name === 'k' && box.value === kind
    form.elements.text.value = ''
    area = only || ''
    apply()
  })
}
const reveal = () => {
  const target = location.hash.length > 1 ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null
  if (!target) return
  for (let at = target; at; at = at.parentElement) {
    at.hidden = false
    if (at.tagName === 'DETAILS') at.open = true
  }
  target.scrollIntoView()
}
addEventListener('hashchange', reveal)
reveal()
const copy = async (button) => {
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
}
document.addEventListener('click', (event) => {
  const link = event.target.closest('a[data-k], a[data-area]')
  if (link) { filters.get('filter')(link.dataset.k, link.dataset.area); setTimeout(reveal) }
  else if (event.target.closest('a[href^="#"]')) setTimeout(reveal)
  const button = event.target.closest('button')
  if (!button) return
  if ('copy' in button.dataset) copy(button)
  if ('print' in button.dataset) print()
  if ('toggle' in button.dataset) {
    const some = all(button.dataset.toggle)
    const open = some.some((one) => !one.open)
    for (const one of some) one.open = open
    button.textContent = open ? 'Close all' : 'Open all'
  }
})
document.addEventListener('keydown', (event) => {
  const search = document.getElementById('search')
  if (!search || event.key !== '/' || event.ctrlKey || event.metaKey || event.target.matches('input')) return
  event.preventDefault()
  search.focus()
  search.scrollIntoView({ block: 'center' })
})
for (const button of all('[data-copy], [data-print], [data-toggle]')) button.hidden = false
let closed = []
addEventListener('beforeprint', () => { closed = all('.area:not([open]), .rest:not([open]), .finding:not([open]), #fingerprints:not([open])'); for (const one of closed) one.open = true })
addEventListener('afterprint', () => { for (const one of closed) one.open = false })
`
