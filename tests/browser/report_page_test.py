#!/usr/bin/env python3
"""The HTML report in headless Chromium: loads, zooms, pans, answers hovering, and stays usable with a
million ops. Usage: report_page_test.py MAKE_PAGE FOLDER; keeps page and screenshots in FOLDER.
Exit status 77 (skipped) where Chromium, its driver or Selenium is missing."""

import os
import shutil
import subprocess
import sys
import tempfile
import time

SKIPPED = 77
WIDTH, HEIGHT = 1280, 800
MOST_REDRAW_MS = 250.0
MOST_LOAD_S = 60.0
MOST_DRAW_MS = 400.0      # of a page on data
MOST_DATA_LOAD_S = 15.0


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIPPED)


try:
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
except ImportError:
    skip("python3-selenium is not installed")


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def eventually(condition, what, seconds=10.0):
    """Waits for what a busy machine may take a while to do."""
    end = time.time() + seconds
    while not condition():
        check(time.time() < end, what)
        time.sleep(0.05)


def screenshot(browser, folder, name):
    path = os.path.join(folder, f"{name}.png")
    browser.save_screenshot(path)
    check(os.path.getsize(path) > 10_000, f"the picture {name} shows something")


def start_browser(profile, dark=False):
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        skip("chromium or chromedriver is not installed")
    options = Options()
    options.binary_location = chromium
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
                 "--no-first-run", "--disable-component-update", "--disable-sync",
                 "--disable-dev-shm-usage", "--hide-scrollbars", "--force-device-scale-factor=1",
                 f"--window-size={WIDTH},{HEIGHT}", f"--user-data-dir={profile}"):
        options.add_argument(flag)
    if dark:
        options.add_argument("--force-dark-mode")
        options.add_argument("--blink-settings=preferredColorScheme=0")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(service=Service(driver), options=options)
    browser.set_page_load_timeout(MOST_LOAD_S)
    browser.set_window_size(WIDTH, HEIGHT)
    return browser


def no_console_error(browser):
    errors = [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    check(not errors, f"console: {errors}")


def point_of(browser, rank, op_text):
    """Offset of the middle of an op from the middle of its canvas."""
    return browser.execute_script(
        """
        const [rank, text] = arguments;
        const s = window.stagecraft, run = s.runs[rank], model = s.modelOf(run), ops = model.ops;
        for (let d = 0; d < run.P; ++d) {
          const track = model.compute[d];
          for (let k = 0; k < track.n; ++k) {
            const i = track.item[k];
            const kind = ["F", "B", "W", "BW"][ops.kind[i]];
            if (`${kind}${ops.microbatch[i]}@${ops.stage[i]}` !== text) continue;
            const box = run.canvas.getBoundingClientRect();
            const gutter = parseFloat(getComputedStyle(document.documentElement).getPropertyValue("--gutter"));
            const view = s.state.view, t = (track.start[k] + track.end[k]) / 2;
            const x = gutter + (t - view.start) / (view.end - view.start) * (box.width - gutter);
            return [x - box.width / 2, (d + 0.4) * box.height / run.P - box.height / 2];
          }
        }
        return null;
        """, rank, op_text)


def view_range(browser):
    view = browser.execute_script("return window.stagecraft.state.view")
    return view["end"] - view["start"]


def hover(browser, canvas, point):
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", canvas)
    tip = browser.find_element(By.ID, "tip")
    def shown():  # a scroll that settles late hides the tip again
        ActionChains(browser).move_to_element_with_offset(canvas, round(point[0]) + 1, round(point[1])).perform()
        ActionChains(browser).move_to_element_with_offset(canvas, round(point[0]), round(point[1])).perform()
        return tip.is_displayed()
    eventually(shown, "hovering shows a tip")
    return tip


def test_comparison(browser, folder):
    canvases = browser.find_elements(By.CSS_SELECTOR, "main canvas")
    rows = browser.find_elements(By.CSS_SELECTOR, "#table tbody tr")
    check(len(canvases) >= 3, "a timeline for every schedule")
    check(len(rows) >= len(canvases), "a row for every schedule")
    check("fastest" in browser.find_element(By.ID, "summary").text, "the summary names the fastest")
    drawn = browser.execute_script(
        "const c = arguments[0]; const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        "return new Set(new Uint32Array(d.buffer)).size", canvases[0])
    check(drawn > 4, f"the first timeline is drawn ({drawn} colours)")
    screenshot(browser, folder, "page")

    # Hovering names the op and what it waited for.
    rank = browser.execute_script("return window.stagecraft.runs.findIndex((r) => r.schedule === '1f1b')")
    canvas = browser.find_element(By.CSS_SELECTOR, f"#run-{rank} canvas")
    tip = hover(browser, canvas, point_of(browser, rank, "F1@2"))
    for words in ("F1@2", "forward of micro-batch 1 on stage 2", "device", "duration", "memory", "waited for"):
        check(words in tip.text, f"the tip says '{words}': {tip.text!r}")
    tip = hover(browser, canvas, point_of(browser, rank, "F0@3"))
    check("F0@2 (device 2)" in tip.text, f"the tip names the producer: {tip.text!r}")
    screenshot(browser, folder, "hover")

    # Zoom by wheel keeps the time under the pointer; then buttons, keys, and dragging.
    whole = view_range(browser)
    origin = ScrollOrigin.from_element(canvas, 100, 0)
    ActionChains(browser).scroll_from_origin(origin, 0, -400).perform()
    eventually(lambda: view_range(browser) < 0.7 * whole, "the wheel zooms in")
    wheeled = view_range(browser)
    browser.find_element(By.ID, "zoom-in").click()
    check(view_range(browser) < wheeled, "the button zooms in")
    before = browser.execute_script("return window.stagecraft.state.view.start")
    ActionChains(browser).drag_and_drop_by_offset(canvas, -150, 0).perform()
    eventually(lambda: browser.execute_script("return window.stagecraft.state.view.start") > before, "dragging pans")
    screenshot(browser, folder, "zoomed")
    browser.find_element(By.TAG_NAME, "body").send_keys("-")
    check(view_range(browser) > 0.9 * wheeled / 1.6, "the minus key zooms out")
    browser.find_element(By.TAG_NAME, "body").send_keys("0")
    check(abs(view_range(browser) - whole) < 1e-6 * whole, "0 shows everything again")
    browser.find_element(By.TAG_NAME, "body").send_keys(Keys.ARROW_RIGHT)

    # A wheel gesture that begins beside the plots scrolls the page and does not zoom.
    whole = view_range(browser)
    title = browser.find_element(By.CSS_SELECTOR, f"#run-{rank} h2")
    ActionChains(browser).scroll_from_origin(ScrollOrigin.from_element(title), 0, 60).perform()
    ActionChains(browser).scroll_from_origin(ScrollOrigin.from_element(canvas), 0, 60).perform()
    check(view_range(browser) == whole, "scrolling on does not zoom")

    # The switches change what is drawn.
    top = browser.find_element(By.CSS_SELECTOR, "main canvas")
    browser.execute_script("window.scrollTo(0, 0)")
    images = [browser.execute_script("window.stagecraft.redraw(); return arguments[0].toDataURL()", top)]
    for name in ("by-cause", "critical", "memory"):
        browser.find_element(By.ID, name).click()
        time.sleep(0.2)
        browser.execute_script("window.scrollTo(0, 0)")
        screenshot(browser, folder, f"{name}")
        images.append(browser.execute_script("window.stagecraft.redraw(); return arguments[0].toDataURL()", top))
        check(images[-1] != images[-2], f"'{name}' changes the picture")
        if name == "by-cause":
            browser.find_element(By.ID, "by-kind").click()

    # The table sorts by any column.
    def order():
        return [row.get_attribute("data-run") for row in browser.find_elements(By.CSS_SELECTOR, "#table tbody tr")]
    check(order()[0] == "0", "best first")
    browser.find_elements(By.CSS_SELECTOR, "#table th button")[1].click()
    names = [cell.text.split("\n")[0] for cell in browser.find_elements(By.CSS_SELECTOR, "#table td.name")]
    check([n.removesuffix("best") for n in names] == sorted(n.removesuffix("best") for n in names), f"sorted by name: {names}")

    browser.set_window_size(500, 800)
    time.sleep(0.3)
    overflow = browser.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
    check(overflow <= 0, f"a narrow page does not scroll sideways ({overflow} px)")
    screenshot(browser, folder, "narrow")
    browser.set_window_size(WIDTH, HEIGHT)


def test_measured(browser, folder):
    rows = browser.find_elements(By.CSS_SELECTOR, "#table tbody tr")
    names = [cell.text for cell in browser.find_elements(By.CSS_SELECTOR, "#table td.name")]
    check(names == ["1f1b predicted", "1f1b measured"], f"the measurement below its prediction: {names}")
    summary = browser.find_element(By.ID, "summary").text
    check("1f1b measured: " in summary and "predicted" in summary, f"the summary holds both times: {summary}")
    check("fastest" not in summary, "a measurement does not compete with its prediction")
    gaps = [row.find_elements(By.TAG_NAME, "td")[-2].text for row in rows]
    check(gaps[0].endswith("%") and gaps[1] == "–", f"no bound of what was measured: {gaps}")
    screenshot(browser, folder, "measured")


def test_search(browser, folder):
    charts = browser.find_elements(By.CSS_SELECTOR, "#charts svg")
    check(len(charts) == 2, "progress and front")
    check(charts[0].find_elements(By.CSS_SELECTOR, "path.bound"), "the bound over time")
    check(len(charts[0].find_elements(By.CSS_SELECTOR, "circle")) > 1, "a dot for every improvement")
    check(charts[1].find_elements(By.CSS_SELECTOR, "circle.start"), "the start in the front's chart")
    check(len(charts[1].find_elements(By.CSS_SELECTOR, "circle.chosen")) == 1, "the best plan in the front's chart")
    reasons = [item.text for item in browser.find_elements(By.CSS_SELECTOR, "#reasons li")]
    check(reasons[0] == "what limits it most is <the chain>", f"reasons: {reasons}")
    summary = browser.find_element(By.ID, "summary").text
    check(summary.startswith("Best iteration found: "), f"the summary is of the search: {summary}")
    names = [cell.text.split("\n")[0] for cell in browser.find_elements(By.CSS_SELECTOR, "#table td.name")]
    check(len(names) == 2 and names[0].startswith("best: ") and names[1] == "start: 1f1b", f"both plans: {names}")
    check(len(browser.find_elements(By.CSS_SELECTOR, "main canvas")) == 2, "both timelines")
    screenshot(browser, folder, "search")
    browser.set_window_size(500, 800)
    time.sleep(0.3)
    overflow = browser.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
    check(overflow <= 0, f"a narrow page does not scroll sideways ({overflow} px)")
    browser.set_window_size(WIDTH, HEIGHT)


def test_data(browser, folder):
    """200 iterations of 11 strategies."""
    rows = browser.find_elements(By.CSS_SELECTOR, "#table tbody tr")
    check(len(rows) == 11, "a row for every strategy")
    check("best" in rows[0].get_attribute("class") and rows[-1].text.startswith("11"), "best first")
    check("needs 91.3 GiB" in rows[-1].text, "a strategy that cannot run says why")
    summary = browser.find_element(By.ID, "summary").text
    check("fastest of 11 strategies over 200 iterations" in summary, f"the summary: {summary}")
    check("32 GPUs" in browser.find_element(By.ID, "facts").text, "what was compared on what")
    check(len(browser.find_elements(By.CSS_SELECTOR, "main canvas")) == 3, "a timeline for every pipeline")

    # Everything on the page answers hovering.
    tip = browser.find_element(By.ID, "tip")
    def tip_at(node, x, y, *words):
        browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", node)
        def shown():  # a scroll that settles late hides the tip again
            for by in (1, 0):
                ActionChains(browser).move_to_element_with_offset(node, x + by, y).perform()
            return tip.is_displayed()
        eventually(shown, f"hovering shows a tip with {words}")
        for word in words:
            check(word in tip.text, f"the tip says '{word}': {tip.text!r}")
    segment = browser.find_element(By.CSS_SELECTOR, ".parts-card rect[data-part='2']")
    tip_at(segment, 0, 0, "recompute", "recomputing", "share")
    curves = browser.find_element(By.CSS_SELECTOR, ".series svg")
    place = browser.execute_script(
        "const s = arguments[0].near, r = s.rows.find((row) => row.schedule === 'deepspeed'), i = s.scales.order[100], b = arguments[0].getBoundingClientRect();"
        "return [s.scales.x(100) - b.width / 2, s.scales.y(r.series.times[i]) - b.height / 2, r.schedule, i]", curves)
    tip_at(curves, round(place[0]), round(place[1]), place[2], "tokens/s", str(place[3]))
    screenshot(browser, folder, "data-curve")
    heat = browser.find_element(By.CSS_SELECTOR, ".heat canvas")
    height = browser.execute_script("return arguments[0].clientHeight", heat)
    tip_at(heat, 0, 10 - height // 2, "unit", "sequences", "attention")
    image = browser.execute_script("return document.querySelector('.histogram img').naturalWidth")
    check(image > 0, "the histogram is a picture")

    # The choices change what is drawn.
    def heat_image():
        return browser.execute_script("return arguments[0].toDataURL()", heat)
    tokens = heat_image()
    browser.find_elements(By.CSS_SELECTOR, ".heat button")[1].click()
    check(heat_image() != tokens, "units coloured by attention")
    path = browser.find_element(By.CSS_SELECTOR, ".series path.best").get_attribute("d")
    browser.find_elements(By.CSS_SELECTOR, ".series button")[0].click()
    check(browser.find_element(By.CSS_SELECTOR, ".series path.best").get_attribute("d") != path, "iterations as sampled")

    # Columns sort, and a strategy's timeline can be hidden and found.
    browser.execute_script("window.scrollTo(0, 0)")
    browser.find_elements(By.CSS_SELECTOR, "#table th button")[1].click()
    names = [cell.text.split("\n")[0] for cell in browser.find_elements(By.CSS_SELECTOR, "#table td.name")]
    check([n.removesuffix("best").strip() or n for n in names][0] == "1f1b", f"sorted by name: {names}")
    browser.find_element(By.CSS_SELECTOR, "#table tbody input").click()
    check(browser.execute_script("return [...document.querySelectorAll('main .run')].filter((r) => r.hidden).length") == 1,
          "a timeline that is not wanted is hidden")

    timings = browser.execute_script(
        "const svg = document.querySelector('.series svg'), times = {};"
        "for (const [name, k] of [['as sampled', 0], ['fastest first', 1]]) {"
        "  const began = performance.now(); document.querySelectorAll('.series button')[k].click();"
        "  svg.getBoundingClientRect(); times[name] = performance.now() - began; }"
        "const began = performance.now(); window.stagecraft.redraw(); times.timelines = performance.now() - began; return times")
    print("200 iterations x 11 strategies: " + ", ".join(f"{name} {ms:.0f} ms" for name, ms in timings.items()))
    check(max(timings.values()) < MOST_DRAW_MS, f"drawing takes at most {MOST_DRAW_MS} ms: {timings}")

    for width in (1400, 800, 500):
        browser.set_window_size(width, 800)
        time.sleep(0.3)
        overflow = browser.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
        check(overflow <= 0, f"a page {width} px wide does not scroll sideways ({overflow} px)")
        screenshot(browser, folder, f"data-{width}")
    browser.set_window_size(WIDTH, HEIGHT)


def test_million(browser, folder, load_s):
    ops = browser.execute_script("return window.stagecraft.modelOf(window.stagecraft.runs[0]).ops.n")
    check(ops == 1_000_000, f"{ops} ops")
    timings = {"fit": browser.execute_script("return window.stagecraft.redraw()")}
    screenshot(browser, folder, "million")
    for factor in (30, 1000, 10000):
        timings[f"x{factor}"] = browser.execute_script(
            "window.stagecraft.fit(); window.stagecraft.zoom(arguments[0]); return window.stagecraft.redraw()", factor)
    screenshot(browser, folder, "million-zoomed")
    browser.execute_script("document.getElementById('memory').click(); window.stagecraft.fit()")
    timings["memory"] = browser.execute_script("return window.stagecraft.redraw()")
    browser.execute_script("document.getElementById('critical').click()")
    timings["path"] = browser.execute_script("return window.stagecraft.redraw()")
    print(f"1 000 000 ops: loaded in {load_s:.1f} s; redraw " +
          ", ".join(f"{name} {ms:.0f} ms" for name, ms in timings.items()))
    check(max(timings.values()) < MOST_REDRAW_MS, f"a redraw takes at most {MOST_REDRAW_MS} ms: {timings}")


def main():
    make_page, folder = sys.argv[1:3]
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory() as profile:
        browser = start_browser(profile)
        try:
            for kind in ("compare", "measured", "search", "data", "million"):
                page = os.path.join(folder, f"{kind}.html")
                subprocess.run([make_page, page, kind], check=True)
                began = time.time()
                browser.get(f"file://{os.path.abspath(page)}")
                load_s = time.time() - began
                print(f"{kind}: {os.path.getsize(page) / 1e6:.2f} MB")
                if kind == "compare":
                    test_comparison(browser, folder)
                elif kind == "measured":
                    test_measured(browser, folder)
                elif kind == "search":
                    test_search(browser, folder)
                elif kind == "data":
                    check(load_s < MOST_DATA_LOAD_S, f"loaded within {MOST_DATA_LOAD_S} s ({load_s:.1f} s)")
                    test_data(browser, folder)
                else:
                    test_million(browser, folder, load_s)
                no_console_error(browser)
        finally:
            browser.quit()


if __name__ == "__main__":
    main()
