// Sends two spans of one session with OpenTelemetry's own exporters: node export.mjs URL proto|http SESSION [gzip]
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";

const [url, exporter, session, compression] = process.argv.slice(2);
const { OTLPTraceExporter } = await import(`@opentelemetry/exporter-trace-otlp-${exporter}`);
const provider = new NodeTracerProvider({
  spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url, compression }))],
});
provider.register(); // brings the context that makes one span the child of another
const tracer = provider.getTracer("test");
tracer.startActiveSpan("turn", { attributes: { "session.id": session, "user.id": "jürgen 🦊" } }, (turn) => {
  const call = tracer.startSpan("chat", { attributes: { "gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 7 } });
  call.recordException(new Error("boom"));
  call.setStatus({ code: 2, message: "boom" });
  call.end();
  turn.end();
});
await provider.forceFlush();
await provider.shutdown();
