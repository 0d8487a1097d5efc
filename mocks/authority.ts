/** A certificate authority: makes keys, and issues X.509 certificates laid out like those of Thredd's CA. */
import { randomBytes, webcrypto } from 'node:crypto'
import { isIP } from 'node:net'
import type { PublicKeyType } from '@peculiar/x509'

const CERTIFICATE_POLICY = '1.3.6.1.4.1.56623.113.1.2'

export interface CertifiedKey {
  /** PEM */
  readonly certificate: string
  /** PKCS#8 PEM */
  readonly key: string
}

/** The extended key usage: clientAuth, serverAuth, or none, which allows any use. */
type Use = 'client' | 'server' | 'any'

interface CertificateRequest {
  /** as in RFC 4514 but read from left to right: `C=GB, O=thredd` */
  readonly subject: string
  readonly use: Use
  readonly notBefore: Date
  readonly notAfter: Date
  /** subject alternative names, host names or IP addresses */
  readonly hosts?: readonly string[]
  /** hexadecimal; random by default */
  readonly serial?: string
  /** default: the authority's own name; another one for a certificate that only claims to be of that issuer */
  readonly issuer?: string
}

export interface Authority extends CertifiedKey {
  issue(request: CertificateRequest): Promise<CertifiedKey>
  /**
   * The certificate (PEM) for a certificate signing request (PEM, RFC 2986), with the subject and the key that it asks for.
   * Throws where its signature is not by that key.
   */
  certify(request: string, dates: Pick<CertificateRequest, 'use' | 'notBefore' | 'notAfter'>): Promise<string>
}

/** A new root CA: for `ensurePki`, and for tests that need certificates with faults. */
export async function createAuthority(name: string, notBefore: Date, notAfter: Date): Promise<Authority> {
  const x509 = await loadX509()
  const keys = await newKeys()
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name,
    notBefore,
    notAfter,
    signingAlgorithm: RSA,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    ],
  })
  const usage =
    x509.KeyUsageFlags.digitalSignature |
    x509.KeyUsageFlags.keyEncipherment |
    x509.KeyUsageFlags.dataEncipherment |
    x509.KeyUsageFlags.keyAgreement
  const sign = async (request: CertificateRequest, publicKey: PublicKeyType): Promise<string> => {
    // No OCSP or CRL address, though the documented certificate has both: nothing would answer offline, and a client
    // that checks them must not call the real ones. No key identifiers, so that "clone" differs in its key only.
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: request.serial ?? newSerial(),
      subject: request.subject,
      issuer: request.issuer ?? name,
      notBefore: request.notBefore,
      notAfter: request.notAfter,
      signingAlgorithm: RSA,
      publicKey,
      signingKey: keys.privateKey,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(usage, true),
        new x509.CertificatePolicyExtension([CERTIFICATE_POLICY]),
        ...(request.use === 'any' ? [] : [new x509.ExtendedKeyUsageExtension([EXTENDED_KEY_USAGE[request.use]])]),
        ...(request.hosts === undefined
          ? []
          : [
              new x509.SubjectAlternativeNameExtension(
                request.hosts.map((host) => ({ type: isIP(host) === 0 ? 'dns' : 'ip', value: host })),
              ),
            ]),
      ],
    })
    return `${certificate.toString('pem')}\n`
  }
  return {
    certificate: `${root.toString('pem')}\n`,
    key: await toPem(keys.privateKey),
    async issue(request) {
      const own = await newKeys()
      return { certificate: await sign(request, own.publicKey), key: await toPem(own.privateKey) }
    },
    async certify(request, dates) {
      const asked = new x509.Pkcs10CertificateRequest(request)
      if (!(await asked.verify())) throw new Error('the request is not signed by the key in it')
      return await sign({ ...dates, subject: asked.subject }, asked.publicKey)
    },
  }
}

const RSA = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }
const EXTENDED_KEY_USAGE = { client: '1.3.6.1.5.5.7.3.2', server: '1.3.6.1.5.5.7.3.1' }

export function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  const parameters = { ...RSA, modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) }
  return webcrypto.subtle.generateKey(parameters, true, ['sign', 'verify'])
}

export async function toPem(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key))
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN PRIVATE KEY-----\n${lines.join('\n')}\n-----END PRIVATE KEY-----\n`
}

/** Positive and without a leading zero byte, so that all tools print it in the same way. */
export function newSerial(): string {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40
  return bytes.toString('hex')
}

/**
 * Importing the library fails without a metadata polyfill of Reflect, though nothing in it reads metadata. An empty polyfill is
 * present during the import and removed afterwards. Loaded on demand, since a run with an existing PKI does not need it.
 */
export async function loadX509(): Promise<typeof import('@peculiar/x509')> {
  loading ??= (async () => {
    if ('getMetadata' in Reflect) return await import('@peculiar/x509')
    const nothing = () => undefined
    const polyfill = { getMetadata: nothing, getOwnMetadata: nothing, defineMetadata: nothing, hasOwnMetadata: nothing }
    Object.assign(Reflect, polyfill)
    try {
      return await import('@peculiar/x509')
    } finally {
      for (const name of Object.keys(polyfill)) Reflect.deleteProperty(Reflect, name)
    }
  })()
  return await loading
}

let loading: Promise<typeof import('@peculiar/x509')> | undefined
