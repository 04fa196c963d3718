// The AI SDK's own telemetry: generateText with a tool, streamText, generateObject and an embedding.
// requires: zod@3.25.76 @opentelemetry/sdk-trace-node@2.12.0 @opentelemetry/exporter-trace-otlp-proto@0.223.1
// ... @opentelemetry/resources@2.12.1 @opentelemetry/api@1.9.1
// record: vercel_ai_4 ai@4.3.19 @ai-sdk/openai@1.3.24
// record: vercel_ai_5 ai@5.0.277 @ai-sdk/openai@2.0.131
// record: vercel_ai_6 ai@6.0.326 @ai-sdk/openai@3.0.141
// record: vercel_ai_7 ai@7.0.173 @ai-sdk/openai@4.0.118 @ai-sdk/otel@1.0.173
// record: vercel_ai_7_legacy ai@7.0.173 @ai-sdk/openai@4.0.118 @ai-sdk/otel@1.0.173 LEGACY=1
import { createOpenAI } from '@ai-sdk/openai';
import * as ai from 'ai';
import { z } from 'zod';
import { provider } from './otel.mjs';
import { MODEL, SESSIONS, SYSTEM, getOrder, log, major } from './story.mjs';

const version = major('ai');
if (version >= 7) {
  const otel = await import('@ai-sdk/otel');
  const chosen = process.env.LEGACY
    ? new otel.LegacyOpenTelemetry()
    : new otel.OpenTelemetry({ runtimeContext: true, usage: true });
  ai.registerTelemetry(chosen);
}
const openai = createOpenAI({ baseURL: process.env.OPENAI_BASE_URL, apiKey: 'no-key' });
const model = version >= 5 ? openai.chat(MODEL) : openai(MODEL, { structuredOutputs: true });
const schema = z.object({ order_id: z.string() });
const tools = {
  get_order: ai.tool({
    description: 'Look up the state of an order by its number.',
    [version >= 5 ? 'inputSchema' : 'parameters']: schema,
    execute: async ({ order_id: id }) => getOrder(id),
  }),
};
const loop = version >= 5 ? { stopWhen: ai.stepCountIs(4) } : { maxSteps: 4 };

// What the documents of each version say: metadata until 6, the runtime context in 7.
function telemetry(session, user, functionId) {
  const facts = { sessionId: session, userId: user, tags: ['desk', 'beta'], shop: 'north' };
  if (version < 7) return { experimental_telemetry: { isEnabled: true, functionId, metadata: facts } };
  const includeRuntimeContext = Object.fromEntries(Object.keys(facts).map(key => [key, true]));
  return { runtimeContext: facts, telemetry: { functionId, includeRuntimeContext } };
}

for (const [session, user, messages] of SESSIONS) {
  const history = [];
  for (const said of messages) {
    history.push({ role: 'user', content: said });
    const options = { model, system: SYSTEM, messages: history, tools, maxRetries: 0, ...loop };
    try {
      let text;
      if (said.startsWith('Hello')) {
        // The first answer is streamed.
        const stream = ai.streamText({ ...options, ...telemetry(session, user, 'order-desk-stream') });
        text = '';
        for await (const part of stream.textStream) text += part;
      } else {
        text = (await ai.generateText({ ...options, ...telemetry(session, user, 'order-desk') })).text;
      }
      history.push({ role: 'assistant', content: text });
      log(session, user, said, text);
    } catch {
      history.pop();
      log(session, user, said, null);
    }
  }
}
const [session, user] = SESSIONS[1];
const rating = await ai.generateObject({
  model,
  schema: z.object({ mood: z.enum(['calm', 'angry']), urgent: z.boolean() }),
  prompt: 'How does the customer feel?',
  ...telemetry(session, user, 'rating'),
});
// In 7 this call gives its telemetry no context, so that its trace has no session.
log(version < 7 ? session : null, version < 7 ? user : null, 'How does the customer feel?', JSON.stringify(rating.object));
const embedding = version >= 7 ? openai.embedding('text-embedding-3-small') : openai.textEmbeddingModel('text-embedding-3-small');
await ai.embed({ model: embedding, value: 'order A-1001', ...telemetry(session, user, 'index') });
await provider.forceFlush();
await provider.shutdown();
