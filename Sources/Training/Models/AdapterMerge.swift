import Transformer

/// The work of `adalign merge`: a model and an adapter become one model.
package struct AdapterMerge {
  package let model: String
  package let adapter: String
  package let output: String

  package init(model: String, adapter: String, output: String) {
    self.model = model
    self.adapter = adapter
    self.output = output
  }

  /// Writes the model, which appears when it is complete.
  package func write() throws {
    try ModelExport.checkTarget(output)
    let source = try ModelSource(.directory(model), adapter: adapter)
    let layout = ParameterLayout(source.configuration, head: source.head)
    let parameters = try source.loadParameters()
    try ModelExport(source: source, layout: layout, head: source.head).write(parameters.view, to: output)
  }
}
