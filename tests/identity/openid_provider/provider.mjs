// An OpenID provider for the tests: node provider.mjs PORT KEYS_FILE REDIRECT_URI…. It gives clients access tokens for
// themselves, and signs people in for the client `console`: without a question, whoever is named at its page of interaction.
import { readFileSync } from 'node:fs';
import Provider from 'oidc-provider';

const [port, keysFile, ...redirectUris] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const tenants = { 'agent-of-acme': 'acme', 'agent-of-zeta': 'zeta', 'agent-of-nobody': undefined };

const scopes = 'turns:resume graphs:read graphs:write graphs:admin';
const people = { ada: 'acme', zoe: 'zeta', sam: ['acme', 'beta'], eve: undefined };
const AUDIENCE = 'https://argosy';

const provider = new Provider(issuer, {
  jwks: JSON.parse(readFileSync(keysFile, 'utf8')),
  clients: [
    ...Object.keys(tenants).map((client_id) => ({
      client_id,
      client_secret: 'of-a-test',
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    })),
    ...(redirectUris.length ? [{ client_id: 'console', client_secret: 'of a test & more', redirect_uris: redirectUris }] : []),
  ],
  pkce: { required: () => true },
  findAccount: (_context, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
  interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
  loadExistingGrant: async ({ oidc }) => {
    const grant = new provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
    grant.addOIDCScope('openid turns:resume');
    grant.addResourceScope(AUDIENCE, 'turns:resume');
    await grant.save();
    return grant;
  },
  clientDefaults: { id_token_signed_response_alg: 'ES256' },
  cookies: { keys: ['of-a-test'] },
  scopes: scopes.split(' '),
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_context, resource) => ({
        scope: scopes,
        audience: resource.replace('https://', ''),
        accessTokenFormat: 'jwt',
        accessTokenTTL: 300,
        jwt: { sign: { alg: 'ES256' } },
      }),
    },
  },
  extraTokenClaims: (_context, token) => ({
    tenant: token.accountId ? people[token.accountId] : tenants[token.clientId],
    roles: ['staff'],
  }),
});

provider.use(async (context, next) => {
  if (!context.path.startsWith('/interaction/')) return next();
  const { account = 'ada', error } = context.query;
  context.respond = false;
  await provider.interactionFinished(context.req, context.res, error ? { error } : { login: { accountId: account } });
});

provider.listen(Number(port), '127.0.0.1', () => console.log('ready'));
