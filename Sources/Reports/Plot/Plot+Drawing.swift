extension Plot {
  /// The chart as an SVG image that scales with the space it is given.
  ///
  /// - Parameter width: of the drawing in its own units, in which text is 12 high.
  func drawn(width: Double) -> Markup {
    let layout = PlotLayout(self, width: width)
    let size = "\(NumberText.coordinate(width)) \(NumberText.coordinate(layout.height))"
    let parts =
      hasData
      ? [layout.legend.drawn(), grid(layout), labels(layout), ruled(layout.area), Markup("g", [:], marks(layout.area))]
      : [.text("no data", at: layout.area.centre, "empty", anchor: .middle)]
    return Markup(
      "svg", ["xmlns": "http://www.w3.org/2000/svg", "viewBox": "0 0 \(size)", "role": "img", "aria-label": summary],
      parts + [frame(layout.area), titles(layout), noted(layout, width: width)])
  }

  /// A line at each number with a label, and a stronger one at zero where it lies inside.
  private func grid(_ layout: PlotLayout) -> Markup {
    let area = layout.area
    let (x, y) = (area.xScale, area.yScale)
    let vertical = x.isCategorical ? [] : x.ticks.map { Markup.across(area, x: area.x($0.value), "grid-line") }
    let horizontal = y.ticks.map { Markup.across(area, y: area.y($0.value), "grid-line") }
    let zeros =
      (x.hasZeroInside ? [Markup.across(area, x: area.x(0), "zero")] : [])
      + (y.hasZeroInside ? [Markup.across(area, y: area.y(0), "zero")] : [])
    return Markup("g", [:], vertical + horizontal + zeros)
  }

  private func labels(_ layout: PlotLayout) -> Markup {
    let area = layout.area
    let below = zip(area.xScale.ticks, layout.xLabels).flatMap { tick, lines in
      lines.enumerated().map { index, line in
        let y = area.bottom + PlotLayout.labelDistance + Double(index + 1) * PlotLayout.lineHeight - 4
        return Markup.text(line, at: Position(x: area.x(tick.value), y: y), "label", anchor: .middle)
      }
    }
    let beside = zip(area.yScale.ticks, layout.yLabels).map { tick, label in
      let place = Position(x: area.left - PlotLayout.labelDistance, y: area.y(tick.value) + 4)
      return Markup.text(label, at: place, "label", anchor: .end)
    }
    return Markup("g", [:], below + beside)
  }

  private func frame(_ area: PlotArea) -> Markup {
    Markup([.across(area, x: area.left, "axis"), .across(area, y: area.bottom, "axis")])
  }

  private func titles(_ layout: PlotLayout) -> Markup {
    let area = layout.area
    let x = TextMeasure.fitted(x.axis.title, width: area.width, size: PlotLayout.fontSize)
    let y = TextMeasure.fitted(y.axis.title, width: area.height, size: PlotLayout.fontSize)
    let centre = area.centre
    let below = Markup.text(x, at: Position(x: centre.x, y: layout.titleBaseline), "axis-title", anchor: .middle)
    let turned = "translate(12 \(NumberText.coordinate(centre.y))) rotate(-90)"
    let beside = Markup(
      "text", ["class": "axis-title", "text-anchor": "middle", "transform": turned], y)
    return Markup((x.isEmpty ? [] : [below]) + (y.isEmpty ? [] : [beside]))
  }

  private func ruled(_ area: PlotArea) -> Markup {
    Markup(
      rules.map { rule, style in
        switch rule.direction {
        case .vertical: .across(area, x: area.x(rule.value), "rule r\(style % 3)")
        case .horizontal: .across(area, y: area.y(rule.value), "rule r\(style % 3)")
        }
      })
  }

  private func noted(_ layout: PlotLayout, width: Double) -> Markup {
    let text = TextMeasure.fitted(note ?? "", width: width, size: PlotLayout.fontSize)
    return text.isEmpty ? Markup([]) : .text(text, at: Position(x: 0, y: layout.noteBaseline), "note")
  }
}
